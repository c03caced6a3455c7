throw new Error('not installed: npm run bench:browser installs it')

export {}

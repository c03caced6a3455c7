// Where vite.config.ts finds them. Their types are written down in peers.ts, so that they need not be installed.
declare module '@peers/tfjs'
declare module '@peers/tfjs-webgpu'
declare module '@peers/jax'

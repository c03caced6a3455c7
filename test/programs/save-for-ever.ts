/** Saves one model after another to the file that is given, until somebody kills it. Says when the first is there. */
import { dense, initializers, sequential } from '@adjoint/layers'

const path = process.argv[2]!
for (let i = 1; ; i++) {
  const kernelInitializer = initializers.constant(i)
  const m = sequential([dense(300, { inputShape: [300], name: 'd', kernelInitializer, useBias: false })])
  await m.save(path)
  if (i === 1) process.stdout.write('saved')
}

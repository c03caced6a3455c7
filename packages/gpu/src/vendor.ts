// gpu.js. The build puts it whole into the built file, because to install it pulls in 84 MB that it never loads.
import library from 'gpu.js'

export const gpuJs: unknown = library

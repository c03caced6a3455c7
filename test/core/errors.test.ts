import { inspect } from 'node:util'
import { ShapeError, tensor, ValueError } from '@adjoint/core'
import { expect, test } from 'vitest'

test('an error shows only the details that it has', () => {
  expect(Object.keys(new ValueError('x: no'))).not.toContain('op')
  expect(inspect(new ValueError('x: no'))).not.toContain('undefined')
  expect(new ShapeError('x: no', { op: 'x', shapes: [[2, 3]] })).toMatchObject({ op: 'x', shapes: [[2, 3]] })
})

test('what is missing is named once, and a lone value has no index', () => {
  expect(() => tensor([1, null] as never)).toThrow(/^tensor: expected a number, got null at index \[1\]$/)
  expect(() => tensor(undefined as never)).toThrow(/^tensor: expected a number, got undefined$/)
})

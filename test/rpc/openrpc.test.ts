import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { RPC_ERRORS } from '../../node/rpc/errors.ts'
import { METHODS } from '../../node/rpc/methods.ts'
import { call, startServer } from './fake-service.ts'

interface Described {
  readonly name: string
  readonly summary: string
  readonly paramStructure: string
  readonly tags: { name: string }[]
  readonly params: { name: string; required: boolean; schema: object }[]
  readonly result: { name: string; schema: object }
  readonly errors: { $ref: string }[]
}

interface Document {
  readonly openrpc: string
  readonly info: { title: string; version: string }
  readonly methods: Described[]
  readonly components: {
    readonly schemas: Record<string, object>
    readonly errors: Record<string, { code: number; message: string; data: string }>
  }
}

describe('rpc.discover', () => {
  let document: Document
  before(async () => {
    const server = await startServer()
    document = (await call(server.url, 'rpc.discover')).result
    await server.close()
  })

  it('is an OpenRPC 1.x document', () => {
    assert.match(document.openrpc, /^1\.3\.\d+$/)
    assert.match(document.info.version, /^\d+\.\d+\.\d+$/)
    assert.ok(document.info.title)
    const known = ['openrpc', 'info', 'methods', 'components', 'servers', 'externalDocs']
    for (const name of Object.keys(document)) assert.ok(known.includes(name), name)
  })

  it('describes every method of the table once, in by-name style', () => {
    assert.deepEqual(
      document.methods.map(({ name }) => name),
      METHODS.map(({ name }) => name),
    )
    assert.equal(new Set(document.methods.map(({ name }) => name)).size, METHODS.length)
    for (const method of document.methods) {
      assert.equal(method.paramStructure, 'by-name')
      assert.match(method.summary, /^[A-Z].*\.$/)
    }
  })

  it('lists required parameters first, as the specification demands', () => {
    for (const { name, params } of document.methods) {
      const required = params.map((param) => param.required)
      assert.deepEqual(required, [...required].sort().reverse(), name)
      assert.equal(new Set(params.map((param) => param.name)).size, params.length)
    }
  })

  it('holds schemas that compile strictly', () => {
    const ajv = new Ajv({ strict: true, allowUnionTypes: true })
    for (const { params, result } of document.methods) {
      for (const { schema } of params) ajv.compile(schema)
      ajv.compile(result.schema)
    }
    for (const schema of Object.values(document.components.schemas)) ajv.compile(schema)
  })

  it('describes every error of the table, and refers to no other', () => {
    for (const [name, { code }] of Object.entries(RPC_ERRORS)) {
      assert.equal(document.components.errors[name]?.code, code)
    }
    assert.equal(Object.keys(document.components.errors).length, Object.keys(RPC_ERRORS).length)
    const referred = document.methods.flatMap(({ errors }) => errors.map(({ $ref }) => $ref))
    const ours = Object.entries(RPC_ERRORS).filter(([, { code }]) => code > -32100)
    assert.deepEqual(new Set(referred), new Set(ours.map(([name]) => `#/components/errors/${name}`)))
    for (const { errors } of document.methods)
      assert.equal(new Set(errors.map(({ $ref }) => $ref)).size, errors.length)
  })

  it('says which methods need a WebSocket', () => {
    const socketOnly = document.methods.filter(({ tags }) => !tags.some(({ name }) => name === 'http'))
    assert.deepEqual(
      socketOnly.map(({ name }) => name),
      ['subscribe', 'unsubscribe'],
    )
  })
})

describe('the README of the front door', () => {
  const readme = readFileSync(new URL('../../node/rpc/README.md', import.meta.url), 'utf8').replace(
    / +/g,
    ' ',
  )

  it('names every method, parameter and error', () => {
    for (const { name, params } of METHODS) {
      assert.ok(readme.includes(`\`${name}\``), name)
      for (const parameter of Object.keys(params.properties)) {
        const optional = params.required?.includes(parameter) || name === 'entry.get' ? '' : '?'
        assert.ok(readme.includes(`\`${parameter}${optional}\``), `${name} ${parameter}`)
      }
    }
    for (const [name, { code }] of Object.entries(RPC_ERRORS)) {
      assert.ok(readme.includes(`| ${code} | \`${name}\` |`), name)
    }
  })
})

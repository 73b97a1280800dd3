import assert from 'node:assert/strict'
import fc from 'fast-check'
import { call, ENTRY, ENVELOPE, type Harness, post, startServer } from './fake-service.ts'

/** What the specification compares: everything but the sentence and the data of an error. */
function bare(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(bare)
  const { error, ...rest } = answer as { error?: { code: number } }
  return error === undefined ? rest : { ...rest, error: error.code }
}

const refused = (code: number, id: unknown = null) => ({ jsonrpc: '2.0', error: code, id })

describe('JSON-RPC 2.0 over HTTP', () => {
  let server: Harness
  before(async () => {
    server = await startServer()
  })
  after(() => server.close())

  const answer = async (body: string) => {
    const { status, json } = await post(server.url, body)
    return { status, answer: json === undefined ? undefined : bare(json) }
  }
  const policy = (id: unknown) => ({ jsonrpc: '2.0', result: { policy: 'quorum q\n' }, id })

  describe('the examples of the specification, section 7', () => {
    it('calls with named parameters, in any order', async () => {
      for (const params of ['{"from":1,"to":2}', '{"to":2,"from":1}']) {
        const result = await answer(
          `{"jsonrpc":"2.0","method":"proof.consistency","params":${params},"id":3}`,
        )
        assert.deepEqual(result.status, 200)
        assert.deepEqual(server.service.asked.at(-1), ['consistency', 1, 2])
      }
    })

    it('refuses positional parameters with a sentence', async () => {
      const { error } = await call(server.url, 'proof.consistency', [1, 2])
      assert.equal(error.code, -32602)
      assert.match(error.message, /by name/)
    })

    it('answers nothing to notifications, known or not', async () => {
      for (const method of ['policy.get', 'foobar']) {
        const result = await answer(`{"jsonrpc":"2.0","method":"${method}"}`)
        assert.deepEqual(result, { status: 204, answer: undefined })
      }
    })

    it('non-existent method', async () => {
      const result = await answer('{"jsonrpc":"2.0","method":"foobar","id":"1"}')
      assert.deepEqual(result, { status: 200, answer: refused(-32601, '1') })
    })

    it('invalid JSON', async () => {
      const result = await answer('{"jsonrpc":"2.0","method":"foobar,"params":"bar","baz]')
      assert.deepEqual(result, { status: 200, answer: refused(-32700) })
    })

    it('invalid request object', async () => {
      const result = await answer('{"jsonrpc":"2.0","method":1,"params":"bar"}')
      assert.deepEqual(result.answer, refused(-32600))
    })

    it('batch with invalid JSON', async () => {
      const result = await answer(
        '[{"jsonrpc":"2.0","method":"sum","params":[1,2,4],"id":"1"},{"jsonrpc":"2.0","method"]',
      )
      assert.deepEqual(result.answer, refused(-32700))
    })

    it('empty batch', async () => assert.deepEqual((await answer('[]')).answer, refused(-32600)))

    it('invalid batches, empty and not', async () => {
      assert.deepEqual((await answer('[1]')).answer, [refused(-32600)])
      assert.deepEqual((await answer('[1,2,3]')).answer, [refused(-32600), refused(-32600), refused(-32600)])
    })

    it('a batch of everything, answered in order', async () => {
      const result = await answer(`[
        {"jsonrpc":"2.0","method":"policy.get","id":"1"},
        {"jsonrpc":"2.0","method":"policy.get","params":{}},
        {"jsonrpc":"2.0","method":"proof.consistency","params":[42,23],"id":"2"},
        {"foo":"boo"},
        {"jsonrpc":"2.0","method":"foo.get","params":{"name":"myself"},"id":"5"},
        {"jsonrpc":"2.0","method":"policy.get","id":9}
      ]`)
      assert.deepEqual(result.answer, [
        policy('1'),
        refused(-32602, '2'),
        refused(-32600),
        refused(-32601, '5'),
        policy(9),
      ])
    })

    it('a batch of notifications', async () => {
      const result = await answer('[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","method":"policy.get"}]')
      assert.deepEqual(result, { status: 204, answer: undefined })
    })
  })

  describe('requests', () => {
    const CASES: [title: string, body: string, expected: unknown][] = [
      ['an id of null is an id', '{"jsonrpc":"2.0","method":"policy.get","id":null}', policy(null)],
      ['an id of 0 is an id', '{"jsonrpc":"2.0","method":"policy.get","id":0}', policy(0)],
      ['an id that is a list', '{"jsonrpc":"2.0","method":"policy.get","id":[]}', refused(-32600)],
      ['an id beyond 2^53', '{"jsonrpc":"2.0","method":"policy.get","id":9007199254740993}', refused(-32600)],
      ['a long id', `{"jsonrpc":"2.0","method":"policy.get","id":"${'x'.repeat(257)}"}`, refused(-32600)],
      ['another version', '{"jsonrpc":"1.0","method":"policy.get","id":1}', refused(-32600, 1)],
      ['no version', '{"method":"policy.get","id":1}', refused(-32600, 1)],
      ['no method', '{"jsonrpc":"2.0","id":1}', refused(-32600, 1)],
      ['params of null', '{"jsonrpc":"2.0","method":"policy.get","params":null,"id":1}', policy(1)],
      ['empty positional params', '{"jsonrpc":"2.0","method":"policy.get","params":[],"id":1}', policy(1)],
      [
        'no params where one is needed',
        '{"jsonrpc":"2.0","method":"block.get","params":[],"id":1}',
        refused(-32602, 1),
      ],
      [
        'params that are a text',
        '{"jsonrpc":"2.0","method":"policy.get","params":"","id":1}',
        refused(-32600, 1),
      ],
      ['an unknown member', '{"jsonrpc":"2.0","method":"policy.get","param":{},"id":1}', refused(-32600, 1)],
      [
        '__proto__ as a member',
        '{"jsonrpc":"2.0","method":"policy.get","id":1,"__proto__":{}}',
        refused(-32600, 1),
      ],
      ['a method of Object', '{"jsonrpc":"2.0","method":"constructor","id":1}', refused(-32601, 1)],
      ['the method __proto__', '{"jsonrpc":"2.0","method":"__proto__","id":1}', refused(-32601, 1)],
      [
        'a socket method',
        '{"jsonrpc":"2.0","method":"subscribe","params":{"topics":["blocks"]},"id":1}',
        refused(-32601, 1),
      ],
      ['a number', '7', refused(-32600)],
      ['null', 'null', refused(-32600)],
      ['nothing', '', refused(-32700)],
      ['two values', '{"jsonrpc":"2.0","method":"policy.get","id":1} {}', refused(-32700)],
      ['a name twice', '{"jsonrpc":"2.0","method":"policy.get","id":1,"id":2}', refused(-32700)],
      [
        'a name twice, once escaped',
        '{"jsonrpc":"2.0","method":"a","\\u006dethod":"policy.get","id":1}',
        refused(-32700),
      ],
      ['a lone surrogate', '{"jsonrpc":"2.0","method":"\\ud800","id":1}', refused(-32700)],
      ['a number beyond doubles', '{"jsonrpc":"2.0","method":"policy.get","id":1e999}', refused(-32700)],
      ['depth', `${'['.repeat(65)}${']'.repeat(65)}`, refused(-32700)],
    ]
    for (const [title, body, expected] of CASES) {
      it(title, async () => assert.deepEqual((await answer(body)).answer, expected))
    }

    it('refuses bytes that are not UTF-8', async () => {
      const { json } = await post(server.url, new Uint8Array([0x22, 0xff, 0x22]))
      assert.equal(json.error.code, -32700)
      assert.equal(json.error.data.code, 'bad-utf8')
    })

    it('says which of our words a refusal is', async () => {
      const { json } = await post(server.url, '{"a":1,"a":2}')
      assert.equal(json.error.data.code, 'json-duplicate-key')
      assert.match(json.error.message, /"a" stands twice/)
    })
  })

  it('refuses unknown and polluting parameters without touching prototypes', async () => {
    for (const params of [
      '{"__proto__":{"polluted":1}}',
      '{"constructor":{}}',
      '{"toString":1}',
      '{"x":1}',
    ]) {
      const { json } = await post(
        server.url,
        `{"jsonrpc":"2.0","method":"policy.get","params":${params},"id":1}`,
      )
      assert.equal(json.error.code, -32602, params)
      assert.match(json.error.message, /There is no parameter/)
    }
    const polluted = JSON.stringify({ ...ENVELOPE }).replace('{', '{"__proto__":{"polluted":1},')
    const { json } = await post(
      server.url,
      `{"jsonrpc":"2.0","method":"entry.submit","params":{"entry":${polluted}},"id":1}`,
    )
    // DSSE tells readers to ignore members that they do not know.
    assert.equal(json.result.id, ENTRY.id)
    assert.equal(({} as { polluted?: number }).polluted, undefined)
  })

  it('never fails on arbitrary JSON or text, and always answers by the book', async () => {
    const shape = fc.record(
      {
        jsonrpc: fc.oneof(fc.constant('2.0'), fc.jsonValue()),
        method: fc.oneof(fc.constantFrom('policy.get', 'block.get', 'entry.query'), fc.jsonValue()),
        params: fc.jsonValue(),
        id: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    const body = fc.oneof(
      fc.string(),
      fc.json(),
      shape.map((call) => JSON.stringify(call)),
      fc.array(shape, { maxLength: 5 }).map((calls) => JSON.stringify(calls)),
    )
    await fc.assert(
      fc.asyncProperty(body, async (text) => {
        const { status, json } = await post(server.url, text)
        assert.ok(status === 200 || status === 204, `${status}`)
        for (const one of json === undefined ? [] : [json].flat()) {
          assert.equal(one.jsonrpc, '2.0')
          assert.ok('id' in one && 'result' in one !== 'error' in one)
          assert.notEqual(one.error?.code, -32603, JSON.stringify(one))
        }
      }),
      { numRuns: 150 },
    )
  })
})

describe('batches', () => {
  it('run one after the other, and answer in order', async () => {
    let running = 0
    let most = 0
    const server = await startServer(
      {
        async query() {
          most = Math.max(most, ++running)
          await new Promise((resolve) => setTimeout(resolve, 2))
          running--
          return { entries: [] }
        },
      },
      {},
    )
    const one = (id: number) => ({ jsonrpc: '2.0', id, method: 'entry.query' })
    const ids = Array.from({ length: 20 }, (_, i) => i)
    const { json } = await post(server.url, JSON.stringify(ids.map(one)))
    await server.close()
    assert.equal(most, 1)
    assert.deepEqual(
      json.map(({ id }: { id: number }) => id),
      ids,
    )
  })

  it('are refused whole when too long, and cut off when their answers grow too large', async () => {
    const server = await startServer({}, { limits: { batchCallsMax: 3, batchAnswerCharsMax: 40 } })
    const one = (id?: number) => ({ jsonrpc: '2.0', method: 'policy.get', id })
    const long = await post(server.url, JSON.stringify([one(1), one(2), one(3), one(4)]))
    const large = await post(server.url, JSON.stringify([one(1), one(2), one()]))
    await server.close()
    assert.equal(long.json.error.code, -32600)
    assert.deepEqual(bare(large.json[1]), refused(-32005, 2))
    assert.equal(large.json[1].error.data.code, 'overloaded')
    assert.equal(large.json.length, 2)
    assert.equal(server.service.asked.length, 1)
  })

  it('submit together', async () => {
    let waiting = 0
    let release = () => {}
    const all = new Promise<void>((resolve) => {
      release = resolve
    })
    const server = await startServer({
      submit: async ({ id }) => {
        if (++waiting === 20) release()
        await all
        return { id, status: 'ordered' }
      },
    })
    const entry = ENVELOPE
    const calls = Array.from({ length: 20 }, (_, id) => ({
      jsonrpc: '2.0',
      id,
      method: 'entry.submit',
      params: { entry },
    }))
    const { json } = await post(server.url, JSON.stringify(calls))
    await server.close()
    assert.deepEqual(
      json.map(({ id, result }: { id: number; result: { status: string } }) => [id, result.status]),
      calls.map(({ id }) => [id, 'ordered']),
    )
  })
})

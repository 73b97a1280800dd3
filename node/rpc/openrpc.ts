/** The OpenRPC document that rpc.discover answers, made from the table of methods (https://spec.open-rpc.org). */

import { RPC_ERRORS, type RpcErrorName } from './errors.ts'
import type { Method } from './methods.ts'
import { SubscriptionEvent } from './schemas.ts'

/** The version of the specification that the document keeps to. */
const OPENRPC_VERSION = '1.3.2'
/** Of this interface: raised in its first place when a client that was right before would now be wrong. */
const INTERFACE_VERSION = '1.0.0'

export function openRpcDocument(methods: readonly Method[]): object {
  return {
    openrpc: OPENRPC_VERSION,
    info: {
      title: 'Quantum Audit Trail',
      description:
        'JSON-RPC 2.0 over HTTP (POST /rpc) and WebSocket (/ws). Every error has a stable word in data.code.',
      version: INTERFACE_VERSION,
    },
    methods: methods.map(describe),
    components: {
      schemas: { SubscriptionEvent },
      errors: Object.fromEntries(names().map((name) => [name, describeError(name)])),
    },
  }
}

function describe(method: Method): object {
  return {
    name: method.name,
    summary: method.summary,
    tags: method.socketOnly ? [{ name: 'websocket' }] : [{ name: 'http' }, { name: 'websocket' }],
    paramStructure: 'by-name',
    params: describeParams(method),
    result: { name: 'result', schema: method.result },
    errors: [...method.errors, 'rate-limited'].map((name) => ({ $ref: `#/components/errors/${name}` })),
  }
}

/** The specification wants required parameters before optional ones. */
function describeParams({ params }: Method): object[] {
  const required = new Set(params.required)
  return Object.entries(params.properties)
    .map(([name, schema]) => ({ name, required: required.has(name), schema }))
    .sort((a, b) => Number(b.required) - Number(a.required))
}

function describeError(name: RpcErrorName): object {
  const { code, meaning } = RPC_ERRORS[name]
  return { code, message: meaning, data: name }
}

function names(): RpcErrorName[] {
  return Object.keys(RPC_ERRORS) as RpcErrorName[]
}

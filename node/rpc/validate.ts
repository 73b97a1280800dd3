/** Parameters against their schema: compiled once, and each refusal is one sentence. */
import { Ajv, type ErrorObject } from 'ajv'
import type { TSchema } from 'typebox'
import type { Json, JsonObject } from '../../src/json.ts'
import { type RpcError, rpcError } from './errors.ts'

const ajv = new Ajv({ strict: true, allowUnionTypes: true })

/** Returns the parameters if they are an object that fits. Throws RpcError `invalid-params`. */
export type ParamsCheck = (params: Json | undefined) => JsonObject

export function compileParams(schema: TSchema): ParamsCheck {
  const fits = ajv.compile<JsonObject>(schema)
  return (params = {}) => {
    if (Array.isArray(params)) {
      throw rpcError('invalid-params', 'Parameters go by name: send an object, not a list.')
    }
    if (fits(params)) return params
    throw refusal(fits.errors?.[0])
  }
}

function refusal(error: ErrorObject | undefined): RpcError {
  const path = error?.instancePath ?? ''
  return rpcError('invalid-params', sentence(error), path === '' ? {} : { path })
}

function sentence(error: ErrorObject | undefined): string {
  const where = error?.instancePath ? `"${error.instancePath.slice(1)}"` : 'The parameters'
  switch (error?.keyword) {
    case 'additionalProperties':
      return `There is no parameter ${JSON.stringify(String(error.params.additionalProperty).slice(0, 64))}.`
    case 'required':
      return `The parameter "${error.params.missingProperty}" is missing.`
    case 'minProperties':
    case 'maxProperties':
      return 'Give exactly one of the parameters of this method.'
    case 'enum':
      return `${where} must be one of: ${error.params.allowedValues.join(', ')}.`
    case 'pattern':
      return `${where} is not spelled as its schema asks (see rpc.discover).`
    default:
      return `${where} ${error?.message ?? 'do not fit'}.`
  }
}

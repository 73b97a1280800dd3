/** The values that `golden.test.ts` pins: one small ledger, from its seeds to a proof. */

import { fromUtf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { LEAF, nextCosigner } from '../light/fixture.ts'
import { adminSigner, cosigner, EVENT_BYTES, nodeSigner, submitterSigner } from './fixture.ts'

/** Signer, key id, SHA-256 of the public key. */
export const KEYS: readonly [Signer, string, string][] = [
  [
    adminSigner,
    'HSkk5TOX0Mpqu1lx4_U1vVv1G7gA6UFJibKXXVT4Big',
    '83ee80fcbcaf4872ed023e55cb10d7a2b4f1336a182115ea9c000f7449a7a9b0',
  ],
  [
    nodeSigner,
    'XZqSwIG9clYFZNu69ppqhjoZM-Wz_AIF6ZY5pGzDC-w',
    'fda6ad37a2ab2ae563455cc73b3d263e13fc889914d975127dfbb3a07f274a1d',
  ],
  [
    cosigner,
    'WgrJwmEEBt10jxJoaK-kys5EEuKYY1LJpdci01GQZTg',
    'df5b5f45decfb203862a372b2fe7047bdbfdd7c54b39e8bff3f4b5442795f54b',
  ],
  [
    submitterSigner,
    'Zv63hnuWybgFk0yWusO9mBzVWNkhdE7xY91UHKkL6EI',
    'd94ac2152ca366e9430504623536219ac1517f2fe614d3b53e96a1a57cc4733c',
  ],
  [
    nextCosigner,
    't6E1MLxeykufTFJ7cqpNmWfPzMzDuL371jVLxJfXE4g',
    '4e4e2671157fa6d6c734bc952fde72c13ae6aa132a9b01eb215c17b6fd65567a',
  ],
]

export interface GoldenLeaf {
  readonly index: number
  readonly type: string
  readonly signer: Signer
  /** The payload; public keys shortened to their first 24 characters and an ellipsis. */
  readonly payload: string
  /** SHA-256 of the payload, of the pre-authentication encoding, of the signature and of the leaf. */
  readonly sha256: {
    readonly payload: string
    readonly pae: string
    readonly sig: string
    readonly leaf: string
  }
  readonly leafHash: string
  readonly bytes: number
}

export const LEAVES: readonly GoldenLeaf[] = [
  {
    index: LEAF.parameters,
    type: PAYLOAD_TYPES.genesis,
    signer: adminSigner,
    payload:
      '{"adminQuorum":1,"cosigners":1,"ledger":"audit.example/payments","limits":{"blockBytes":2097152,"blockEntries":4096,"clockSkewMs":10000},"members":["d65ffdf524379ebb47b8d84e459187d6f6beddf1b3ccd15c85a5c5dc886b2e1a","89712799093539c18bea9e3c1fd7d4ec33d9afc32a7dab4af4edf874d726521a","5b07d26fbaaa67c9e1107c0c90e70c85bdf2bd5c01b99cf8714ffec55dc6197f"],"time":"2026-01-31T12:00:00.000Z"}',
    sha256: {
      payload: '329254de69689eea2c788f98e3b2c5d95b086855fdd7bfca4410d36b83aee8a7',
      pae: '59714c60c9521c54946e606b8984f02d68b26ec4ae408fade3129c9b6a557225',
      sig: 'dee5a57521ca5e60c3ac1498166483bc04f38e329e5f8e9345a893dfe74e1f4a',
      leaf: '3def642a9521f1443dd07b17243fdacae0a22a8e86b2e7f1cc46436613813af3',
    },
    leafHash: 'cfad272e3c4b44936fc635c7b4961c677fe6c0e1427a679e562308ddc2739748',
    bytes: 5083,
  },
  {
    index: LEAF.admin,
    type: PAYLOAD_TYPES.member,
    signer: adminSigner,
    payload:
      '{"key":{"alg":"ML-DSA-65","kty":"AKP","pub":"xOmZogM_sOGdn4jWJmKDj2gk…"},"kind":"admin","name":"alice","team":"audit"}',
    sha256: {
      payload: '6413216e17a2eedc9833cc06cb728d916f6fb8d7f54716a6a1e8805e8a54e3bd',
      pae: '9b85eca3afb56953795fbe356fb92bd139f97c0abd2788537155477de3e94465',
      sig: 'b4b18a277c2de4b5bd452e27173730ae9e9cb1c84992d08c659aaca2fd38b3d6',
      leaf: '91a87b3405603465d42af3ee0a37136c00b041af4a6ef2857b6c3b2705eeb76e',
    },
    leafHash: 'd65ffdf524379ebb47b8d84e459187d6f6beddf1b3ccd15c85a5c5dc886b2e1a',
    bytes: 8166,
  },
  {
    index: LEAF.validator,
    type: PAYLOAD_TYPES.member,
    signer: adminSigner,
    payload:
      '{"addresses":["/dns4/ada.example/tcp/4100"],"cosignerKey":{"alg":"ML-DSA-44","kty":"AKP","pub":"jaSkpPzgAMSrZBy2HAAGF5cB…"},"kind":"validator","name":"ada","nodeKey":{"alg":"ML-DSA-65","kty":"AKP","pub":"CkHyUA9-WWMBr24pICkWK2is…"},"peerId":"12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq","team":"payments","url":"https://ada.example"}',
    sha256: {
      payload: '576247849d49f1fc66c9e81bae61cfab33e5210917e09d3fea3337fdbf2ece74',
      pae: 'aeb83088efd67915fa81a1494b04c06207b4999b5e4a2acf34a874c4154a6b0a',
      sig: '5392619ca639c9dd533fe1f92c1a5dd047610889f77bb80518b267b6516347f7',
      leaf: 'dafffd960a45056080b36a678ee9de78d6a3b2d2152127ca297dd96697ec33b5',
    },
    leafHash: '89712799093539c18bea9e3c1fd7d4ec33d9afc32a7dab4af4edf874d726521a',
    bytes: 10766,
  },
  {
    index: LEAF.submitter,
    type: PAYLOAD_TYPES.member,
    signer: adminSigner,
    payload:
      '{"key":{"alg":"ML-DSA-65","kty":"AKP","pub":"PjO7TxY7Z1hGM3A1clkzjIK8…"},"kind":"submitter","name":"ci","sources":["/ci/*"],"team":"payments","types":["dev.cdevents.*","https://slsa.dev/provenance/v1"]}',
    sha256: {
      payload: '4e883622e13428665439cccf74a534a553299346b91c078a46916b41be649835',
      pae: 'e552eae8e7ce8e42c90fa4c61628e0313ab599642381741995d70e91556c1e48',
      sig: '8ec99a6f196a08a999725ec0d1baf98cf54a0a18e372dfdb75896f0591ef22f3',
      leaf: 'b826bd9ed4fa72fb8ebb591b44d2f328f50184a70e2631df1d6d142e1e64da39',
    },
    leafHash: '5b07d26fbaaa67c9e1107c0c90e70c85bdf2bd5c01b99cf8714ffec55dc6197f',
    bytes: 8278,
  },
  {
    index: LEAF.genesisSeal,
    type: PAYLOAD_TYPES.seal,
    signer: adminSigner,
    payload:
      '{"count":4,"entriesRoot":"1e819013342788ac4195949a5f9281d9e9062461af0dc6820b69526593e98f79","firstIndex":0,"height":0,"ledger":"audit.example/payments","previous":"0000000000000000000000000000000000000000000000000000000000000000","proposer":"genesis","term":0,"time":"2026-01-31T12:00:00.000Z"}',
    sha256: {
      payload: 'ba82393cea573450cc89137d414adc47fcf5e59b2506b08db6b93e6355a84801',
      pae: '91b7b1f923b387e0c5b0ab2ad3993ab7d71b886e7920da338fe3481d2a072bf4',
      sig: 'b416ba67afb21293cb423b21d63ca4d11ef67e22e1993d5fe905a057791907f1',
      leaf: '2a6bc06505cee3a4a2bc2404474aee7c29b5fa467f6aee85d06d79362bca88a6',
    },
    leafHash: '192b97bc78ebb1a5a0ee65981ea33659b36c980dfd90cf028c33333c387f9a2e',
    bytes: 4960,
  },
  {
    index: LEAF.entry,
    type: PAYLOAD_TYPES.event,
    signer: submitterSigner,
    payload: fromUtf8(EVENT_BYTES),
    sha256: {
      payload: '0532e727ea92dd8c35c60c531bc085dfa9a224560c1b0a4c624c60c6b7d4b827',
      pae: '7849b637b95a40664a533523ea446ab343a1c6ce3fae0776e7e4f3754b4c080f',
      sig: 'b17eaf82bb3d8859f3a9a01783f3641a6eee3d684c3bf4400eb207aa964a1e00',
      leaf: '3c5f1d5f39bbdc46f9b22a3d186437bdb5bc3421be795fbd5a41f467d8c1031a',
    },
    leafHash: 'a86efc3361eb1a0cbda9aed182bd6d2be00d15aab87b5223d160df5f16dc86af',
    bytes: 4875,
  },
  {
    index: LEAF.seal,
    type: PAYLOAD_TYPES.seal,
    signer: nodeSigner,
    payload:
      '{"count":1,"entriesRoot":"a86efc3361eb1a0cbda9aed182bd6d2be00d15aab87b5223d160df5f16dc86af","firstIndex":5,"height":1,"ledger":"audit.example/payments","previous":"192b97bc78ebb1a5a0ee65981ea33659b36c980dfd90cf028c33333c387f9a2e","proposer":"ada","term":1,"time":"2026-01-31T12:00:01.000Z"}',
    sha256: {
      payload: '412d57f7607a6335868d7302de9be6f0d44b0ef263414430cf3a3c00dae31d19',
      pae: 'fee76f3b602d9cc2dc6c1e09f4b45cfd8b43ba17f729dc31c1f089287845ab97',
      sig: '8fb8c2c52ab0084fca11a5b0d6bdc7be4ba7c9ec1c67ae8a45db00cf1d4c67f5',
      leaf: '6f17f9345fdd5d02addf77154594c1555db1b4ad22ad7dd806270f32ef957622',
    },
    leafHash: '5d985b7da375c10fee384ed8803edb534a027cf3b1c18eb52769d5b2d01a818a',
    bytes: 4956,
  },
  {
    index: LEAF.change,
    type: PAYLOAD_TYPES.change,
    signer: adminSigner,
    payload:
      '{"adminQuorum":1,"cosigners":1,"ledger":"audit.example/payments","put":{"addresses":["/dns4/ada.example/tcp/4100"],"cosignerKey":{"alg":"ML-DSA-44","kty":"AKP","pub":"xDvKYWtULHQFrIVNcE0UaEoJ…"},"kind":"validator","name":"ada","nodeKey":{"alg":"ML-DSA-65","kty":"AKP","pub":"CkHyUA9-WWMBr24pICkWK2is…"},"peerId":"12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq","team":"payments","url":"https://ada.example"},"sequence":1}',
    sha256: {
      payload: '524cfb43490cdeff01e339050a382be867ee7bd234fd012b7e4343a0feef095d',
      pae: 'ac2495717fccfba274763b3b43e8fda472634be7bb9d9bcdb65501365f54abb3',
      sig: '4a1ab1a010b2077afabf67fbbe2e91748bcaf1c07bfcb53ef63ddbfb61d8b110',
      leaf: 'dca877c6a09336e66f47a495491dc082e37fbb88df86030697c7e4c2ebd8204c',
    },
    leafHash: 'b9b11a0b2201f514f4ad2bd23c1a8c0ae53484abb4613a3db802402f8ca240b3',
    bytes: 10_878,
  },
  {
    index: LEAF.changeSeal,
    type: PAYLOAD_TYPES.seal,
    signer: nodeSigner,
    payload:
      '{"count":1,"entriesRoot":"b9b11a0b2201f514f4ad2bd23c1a8c0ae53484abb4613a3db802402f8ca240b3","firstIndex":7,"height":2,"ledger":"audit.example/payments","previous":"5d985b7da375c10fee384ed8803edb534a027cf3b1c18eb52769d5b2d01a818a","proposer":"ada","term":1,"time":"2026-01-31T12:00:03.000Z"}',
    sha256: {
      payload: 'c5e713654fd86213198252cd68d3890df8f9dd9d381952aaf684bd14ccaf6066',
      pae: 'a5f67cd183fd9b1ff15a00bc92fb295e6ae3e7a727c27086cc233c6513c4f8b0',
      sig: 'fa33835f98068f14ee3edd1a7e46848efcbc84d9382271d851458daf74207f78',
      leaf: 'f2ed9f7fb8ab457155a1555bd5f56b16873b90b6254e5bac84a4e049e5785948',
    },
    leafHash: '4f5a083382feca87975ca0f02af8988a4beda36deba9f7ae664c184a9b0bfc74',
    bytes: 4_956,
  },
  {
    index: LEAF.lastSeal,
    type: PAYLOAD_TYPES.seal,
    signer: nodeSigner,
    payload:
      '{"count":0,"entriesRoot":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","firstIndex":9,"height":3,"ledger":"audit.example/payments","previous":"4f5a083382feca87975ca0f02af8988a4beda36deba9f7ae664c184a9b0bfc74","proposer":"ada","term":2,"time":"2026-01-31T12:00:05.000Z"}',
    sha256: {
      payload: '69cb303816e02d67c003efc2092c79d78e0260b8abb494302a8786649679b933',
      pae: '252523da45d078b3ea107df8d49201c484ce6f57fd9bc793cfe2dc5b1242a599',
      sig: '6e95c09f9a7825c7b6397cb8ba21522659b456b2f14638a277014f89867f25bd',
      leaf: 'a56582a615ae5c2d74bd505d057516417d2f60a2b4b40d7f6caa05bedf66021b',
    },
    leafHash: 'b1178de4b2283f1f5b5a156f6b4ef67fd2885cf095f54dfd2071147c8a85d755',
    bytes: 4_956,
  },
]

export const GENESIS = {
  sha256: '3920dfb105dd8534476b440fab7b786d58b6586c3ebacca0a7ca6be1041d33f7',
  bytes: 37_263,
}
export const BLOCK_1 = {
  sha256: '5de3973a3da23bc91627eaa8248ea6392ba1116de9d93d6bdda8adc907d0c024',
  bytes: 9_835,
}
export const ROOT = '09a43d7d477ee21b9427b994fb2cb6f9b67f88bb5d028a0d631d8e06a4b6dba8'
export const BUNDLE = {
  entry: { sha256: LEAVES[LEAF.entry]!.sha256.leaf, bytes: 4_875 },
  proof: { sha256: '9acef6f817440965226ccf1eb3b52f17e58f01952427cc215fa866eeb8675f40', bytes: 6_786 },
  records: { sha256: 'a6d085b8981152985b4b16417684c20202221c7b374cd1028e92b7ff5bf8ca95', bytes: 18970 },
  policy: { sha256: '318617f20f4c46c8232d163ba6b943adc1d318d96ba850c814c744cf94791e22', bytes: 3_671 },
}
/** By ada: payload, SHA-256 of the pre-authentication encoding and of the signature. */
export const STATEMENTS = {
  vote: {
    payload:
      '{"base":{"hash":"5d985b7da375c10fee384ed8803edb534a027cf3b1c18eb52769d5b2d01a818a","height":1,"term":1},"candidate":"ada","ledger":"audit.example/payments","term":2}',
    pae: '3da89359c16b389858b25c70ac43fb9e7129b9f778075c98b04e446e44c93e4a',
    sig: '6ba2805277b996853a9edbfa8933ecb2e2f89bd73e7036c5bee98117d1146591',
  },
  acknowledgement: {
    payload:
      '{"hash":"5d985b7da375c10fee384ed8803edb534a027cf3b1c18eb52769d5b2d01a818a","height":1,"ledger":"audit.example/payments","term":1}',
    pae: 'b5b219efe0635f61e3c2ac104f1b2705006ad997f29baf9228ed4ed5b7a6d6d7',
    sig: '83e35054f3f7c8c55271f7a5edb6c16da8bd350b39a267e39359255203a1095f',
  },
}
export const EVIDENCE = [
  { sha256: 'f90effe8a7c87f47369ba699da4a6e082599f5ccf809e41315809bf505ad9631', bytes: 12_598 },
  { sha256: '98e2a018bea35edd2f5d9909159dceb981d25a4bd4bf7ea87d0dfcf7712a3d61', bytes: 8_548 },
  { sha256: '54e7f5b9a0be1b97f61ed63d16215149d06e40bcbffc34dec370cd6d232136dd', bytes: 8_906 },
  { sha256: 'a62b663b6c98a240f025b000b8bd2142a54d3e51dd184c82e500f33a92121fd1', bytes: 12_267 },
  { sha256: '1af61d47513530f63a91f269fbe657f2e540e81d1783e033bc04a41723d6e8a6', bytes: 12_204 },
  { sha256: 'ef43a89c3c4e2ecada82948fd1f17c416696513427c1c78d3b71dfe7e2153740', bytes: 12_442 },
]

/** After the change in block 2, and the empty block 3. */
export const SEQUEL = {
  /** Root at the end of block 2, which the update is certified by, and of all ten leaves. */
  boundary: '40bf0f2a070fb4afd46b37e1cb6105eb5d18436fa63406fc35687abbad0aebb2',
  root: '3a63e4e25833b9615adab5b6a9a14464076aa7a8ed62f8edc60b5012597fc66e',
  bundle: {
    entry: BUNDLE.entry,
    proof: { sha256: 'bad5b2ad100b15fe7e4b9795eecc6b3282a5a1944a0188d43dd801463fef0a04', bytes: 6_832 },
    records: { sha256: '139ce1580e1696fd93b2fb7e79b89bf734987a812284849562918b4dcdada382', bytes: 19238 },
    policy: { sha256: '70a638327c6f975da93ba22366083d50713a338d24fa5f9e79c3dcb51e487caa', bytes: 3_675 },
    updates: { sha256: 'd667d436ff5a488761cbd2117a05883f6053795679fd631a6ff7739bb5b30903', bytes: 17_719 },
  },
}

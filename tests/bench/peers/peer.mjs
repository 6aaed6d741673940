// Client assertions in Node.js: `pkcs11js` by hand, or `graphene` (graphene-pk11) with a hand-made JWS, since jose
// takes no foreign signer; jose makes the header and claims readable again.
//   node peer.mjs pkcs11js|graphene MODULE TOKEN-LABEL PIN-FILE KEY-LABEL ALG once|serve
import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(import.meta.url)
const [kind, module, tokenLabel, pinFile, keyLabel, alg, mode] = process.argv.slice(2)
const pin = readFileSync(pinFile, 'utf8').trim()
const isEc = alg.startsWith('ES')

function signingInput() {
  const now = Math.floor(Date.now() / 1000)
  const id = '8d5f6a1e-0000-4000-8000-0123456789ab'
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg, kid: '0123456789abcdefghij', typ: 'JWT' })}.${part({
    iss: id, sub: id, aud: 'https://ehr.example/oauth2/token', exp: now + 240, iat: now, jti: randomUUID(),
  })}`
}

function openPkcs11js() {
  const pkcs11js = require('pkcs11js')
  const p11 = new pkcs11js.PKCS11()
  p11.load(module)
  p11.C_Initialize()
  const slot = p11.C_GetSlotList(true).find((s) => p11.C_GetTokenInfo(s).label.trim() === tokenLabel)
  const session = p11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION)
  p11.C_Login(session, pkcs11js.CKU_USER, pin)
  p11.C_FindObjectsInit(session, [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_PRIVATE_KEY },
    { type: pkcs11js.CKA_LABEL, value: keyLabel },
  ])
  const key = p11.C_FindObjects(session)
  p11.C_FindObjectsFinal(session)
  const mechanism = { mechanism: isEc ? pkcs11js.CKM_ECDSA : pkcs11js.CKM_SHA384_RSA_PKCS }
  return {
    sign(input) {
      const data = isEc ? createHash('sha384').update(input).digest() : Buffer.from(input)
      p11.C_SignInit(session, mechanism, key)
      return p11.C_Sign(session, data, Buffer.alloc(1024))
    },
    close() { p11.C_Finalize() },
  }
}

function openGraphene() {
  const graphene = require('graphene-pk11')
  const mod = graphene.Module.load(module)
  mod.initialize()
  const slots = mod.getSlots(true)
  let slot
  for (let i = 0; i < slots.length; i++) if (slots.items(i).getToken().label.trim() === tokenLabel) slot = slots.items(i)
  const session = slot.open(graphene.SessionFlag.SERIAL_SESSION)
  session.login(pin)
  const key = session.find({ class: graphene.ObjectClass.PRIVATE_KEY, label: keyLabel }).items(0).toType()
  const mechanism = { name: isEc ? 'ECDSA' : 'SHA384_RSA_PKCS', params: null }
  return {
    sign(input) {
      const data = isEc ? createHash('sha384').update(input).digest() : Buffer.from(input)
      return session.createSign(mechanism, key).once(data)
    },
    close() { mod.finalize() },
  }
}

const signer = kind === 'graphene' ? openGraphene() : openPkcs11js()
if (kind === 'graphene') await import('jose') // what such a program loads besides
const assertion = () => {
  const input = signingInput()
  return `${input}.${signer.sign(input).toString('base64url')}`
}

if (mode === 'once') {
  console.log(assertion())
} else {
  assertion()
  console.log('ready')
  for await (const line of createInterface({ input: process.stdin })) {
    const began = process.hrtime.bigint()
    const end = began + BigInt(line.split(' ')[1]) * 1000000n
    let count = 0
    while (process.hrtime.bigint() < end) { assertion(); count++ }
    console.log(`${count} ${process.hrtime.bigint() - began}`)
  }
}
signer.close()

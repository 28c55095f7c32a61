import { Option, Schema } from "effect"
import { createPrivateKey, createPublicKey, hash, type KeyObject, sign as signBytes, verify } from "node:crypto"
import { type SignedStatement, Statement } from "../Statement.ts"

/** A key that signs, with how it is named. */
export interface SigningKey {
  readonly secret: KeyObject
  readonly id: string
  /** DER (SPKI) in base64. */
  readonly publicKey: string
}

const derOf = (key: KeyObject): Buffer => key.export({ type: "spki", format: "der" })

export const keyIdOf = (key: KeyObject): string => hash("sha256", derOf(key), "hex").slice(0, 16)

/** From PKCS#8 PEM; throws on anything that is not an Ed25519 key. */
export const signingKeyOf = (pem: string): SigningKey => {
  const secret = createPrivateKey(pem)
  if (secret.asymmetricKeyType !== "ed25519") throw new Error("not an Ed25519 key")
  const open = createPublicKey(secret)
  return { secret, id: keyIdOf(open), publicKey: derOf(open).toString("base64") }
}

const parsePublicKey = Option.liftThrowable((text: string): KeyObject =>
  text.includes("-----BEGIN")
    ? createPublicKey(text)
    : createPublicKey({ key: Buffer.from(text, "base64"), format: "der", type: "spki" })
)

/** From SPKI, PEM or base64 of DER; none when it is no Ed25519 key. */
export const publicKeyOf = (text: string): Option.Option<KeyObject> =>
  Option.filter(parsePublicKey(text), (key) => key.asymmetricKeyType === "ed25519")

/** SPKI in PEM, for whoever verifies elsewhere. */
export const publicPem = (key: SigningKey): string =>
  createPublicKey(key.secret).export({ type: "spki", format: "pem" }).toString()

export const isSignedBy = (key: KeyObject, { signature, statement }: SignedStatement): boolean =>
  verify(null, Buffer.from(statement), key, Buffer.from(signature, "base64"))

const encode = Schema.encodeSync(Schema.parseJson(Statement))

export const sign = (statement: Statement, { id, secret }: SigningKey): SignedStatement => {
  const text = encode(statement)
  return { statement: text, keyId: id, signature: signBytes(null, Buffer.from(text), secret).toString("base64") }
}

/** What the next statement names as `previous`. */
export const statementHash = (text: string): string => hash("sha256", text, "hex")

/** **Secrets**: nothing that looks like a credential comes to rest in our data. */
export * as Redaction from "./Redaction.ts"

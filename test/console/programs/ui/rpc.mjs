const { rpcPath, signInPath } = Reflect.get(globalThis, "__SMITHERS_GATEWAY_UI__")

/** @param {string} method @param {unknown} params */
export const call = async (method, params) => {
  const answer = await fetch(`${rpcPath}/${method}`, { method: "POST", body: JSON.stringify(params) })
  if (answer.status === 401) {
    location.assign(`${signInPath}?next=${encodeURIComponent(location.pathname)}`)
    return await new Promise(() => undefined)
  }
  const { error, payload } = await answer.json()
  if (error) throw new Error(error.message)
  return payload
}

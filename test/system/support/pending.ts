import { Session } from "node:inspector/promises";
import { Mux } from "../../../packages/core/dist/nats/mux.js";

/** How many requests wait for an answer, in all stores of this process that have not been collected. */
export async function pendingRequests(): Promise<number> {
  const session = new Session();
  session.connect();
  try {
    Object.assign(globalThis, { muxPrototype: Mux.prototype });
    const prototype = await session.post("Runtime.evaluate", { expression: "globalThis.muxPrototype" });
    const { objects } = await session.post("Runtime.queryObjects", {
      prototypeObjectId: prototype.result.objectId as string,
    });
    const sum = await session.post("Runtime.callFunctionOn", {
      objectId: objects.objectId as string,
      functionDeclaration: "function () { return this.reduce((sum, mux) => sum + mux.pending, 0); }",
      returnByValue: true,
    });
    if (sum.exceptionDetails) throw new Error(sum.exceptionDetails.text);
    return sum.result.value as number;
  } finally {
    session.disconnect();
  }
}

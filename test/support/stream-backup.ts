import type { NatsConnection } from "@nats-io/transport-node";
import { PATIENCE } from "./patient.js";

/** A stream as `nats stream backup` keeps it. */
export interface StreamBackup {
  readonly config: object;
  readonly state: object;
  readonly chunks: readonly Uint8Array[];
}

interface Answer {
  readonly error?: { readonly description: string };
  readonly config: object;
  readonly state: object;
  readonly deliver_subject: string;
}

/** What `nats stream backup` does. */
export async function backUpStream(nc: NatsConnection, stream: string): Promise<StreamBackup> {
  const inbox = `_INBOX.backup.${Math.random().toString(36).slice(2)}`;
  const chunks: Uint8Array[] = [];
  const subscription = nc.subscribe(inbox);
  const reading = (async () => {
    for await (const message of subscription) {
      if (message.data.length === 0) return;
      chunks.push(message.data.slice());
      message.respond();
    }
  })();
  const { config, state } = await ask(nc, `$JS.API.STREAM.SNAPSHOT.${stream}`, {
    deliver_subject: inbox,
    no_consumers: true,
  });
  await reading;
  subscription.unsubscribe();
  return { config, state, chunks };
}

/** What `nats stream restore` does. @throws where there is a stream of that name */
export async function restoreStream(
  nc: NatsConnection,
  stream: string,
  { config, state, chunks }: StreamBackup,
): Promise<void> {
  const { deliver_subject: to } = await ask(nc, `$JS.API.STREAM.RESTORE.${stream}`, { config, state });
  for (const chunk of chunks) await nc.request(to, chunk, { timeout: PATIENCE });
  answerIn((await nc.request(to, new Uint8Array(), { timeout: PATIENCE })).data);
}

async function ask(nc: NatsConnection, subject: string, question: object): Promise<Answer> {
  return answerIn((await nc.request(subject, JSON.stringify(question), { timeout: PATIENCE })).data);
}

function answerIn(data: Uint8Array): Answer {
  const answer = JSON.parse(Buffer.from(data).toString()) as Answer;
  if (answer.error) throw new Error(answer.error.description);
  return answer;
}

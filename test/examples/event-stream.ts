import { until } from "../support/wait.js";
import type { Browser } from "./browser.js";

export interface DeviceMessage {
  type: string;
  handle?: string;
  by?: string;
  at?: number;
}

/** Server-sent events, as a page gets them. */
export class EventStream {
  readonly messages: DeviceMessage[] = [];
  /** How the server has ended it. */
  end: "open" | "complete" | "broken" = "open";
  readonly #abort: AbortController;
  readonly #response: Response;

  private constructor(response: Response, abort: AbortController) {
    this.#response = response;
    this.#abort = abort;
  }

  static async open(browser: Browser): Promise<EventStream> {
    const abort = new AbortController();
    const response = await browser.open("/devices/events", { signal: abort.signal });
    if (response.status !== 200) throw new Error(`The stream was refused with status ${response.status}`);
    const stream = new EventStream(response, abort);
    void stream.#read();
    return stream;
  }

  get headers(): Headers {
    return this.#response.headers;
  }

  /** Waits for a message with these properties. */
  async told(wanted: Partial<DeviceMessage>): Promise<void> {
    const fits = (message: DeviceMessage) =>
      Object.entries(wanted).every(([key, value]) => Reflect.get(message, key) === value);
    await until(`a message ${JSON.stringify(wanted)}`, () => this.messages.some(fits), 20_000);
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(): Promise<void> {
    let text = "";
    try {
      for await (const chunk of this.#response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk;
        const events = text.split("\n\n");
        text = events.pop() ?? "";
        for (const event of events) {
          const data = /^data: ?(.+)$/m.exec(event)?.[1];
          if (data) this.messages.push(JSON.parse(data) as DeviceMessage);
        }
      }
      this.end = "complete";
    } catch {
      this.end = "broken";
    }
  }
}

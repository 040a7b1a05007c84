// For a program on a page: registers a tracer provider of the real SDK, whose spans stay in memory.
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";

export class Recorder {
  #exporter = new InMemorySpanExporter();

  constructor() {
    new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(this.#exporter)] }).register();
  }

  names() {
    return this.#exporter.getFinishedSpans().map(({ name }) => name);
  }
}

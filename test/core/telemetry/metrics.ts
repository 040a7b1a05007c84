import {
  AggregationTemporality,
  type DataPoint,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";

/** A meter provider of the real SDK, whose metrics stay in memory. */
export class Metrics {
  readonly #exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  readonly provider: MeterProvider;

  constructor() {
    const reader = new PeriodicExportingMetricReader({
      exporter: this.#exporter,
      exportIntervalMillis: 3_600_000,
    });
    this.provider = new MeterProvider({ readers: [reader] });
  }

  /** All metrics as they are now. */
  async collect(): Promise<MetricData[]> {
    this.#exporter.reset();
    await this.provider.forceFlush();
    return this.#exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap(({ metrics }) => metrics);
  }

  /** The points of a metric for one bucket. */
  async points(name: string, bucket: string): Promise<DataPoint<unknown>[]> {
    const found = (await this.collect()).filter(({ descriptor }) => descriptor.name === name);
    return found
      .flatMap(({ dataPoints }) => dataPoints as DataPoint<unknown>[])
      .filter(({ attributes }) => attributes["db.namespace"] === bucket);
  }

  /** The sum of a counter, or the value of a gauge, for one bucket. */
  async sum(name: string, bucket: string): Promise<number> {
    const points = await this.points(name, bucket);
    return points.reduce((sum, { value }) => sum + (value as number), 0);
  }

  async unit(name: string): Promise<string | undefined> {
    return (await this.collect()).find(({ descriptor }) => descriptor.name === name)?.descriptor.unit;
  }
}

// NestJS as its command line makes it: TypeScript that becomes CommonJS. Environment: NATS_URL, BUCKET.
import { connect, type NatsConnection } from "@nats-io/transport-node";
import {
  Body,
  Controller,
  Get,
  HttpCode,
  Inject,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  type OnModuleDestroy,
  Post,
  Req,
  Session,
} from "@nestjs/common";
import { NatsStore, rotate } from "connect-nats";
import type { Request } from "express";
import session from "express-session";

declare module "express-session" {
  interface SessionData {
    user: string;
    visits: number;
  }
}

@Controller()
class PagesController {
  @Get()
  page(@Session() session: session.SessionData) {
    session.visits = (session.visits ?? 0) + 1;
    return { user: session.user ?? null, visits: session.visits };
  }

  @Post("sign-in")
  @HttpCode(204)
  async signIn(@Req() req: Request, @Body() { user }: { user: string }) {
    req.session.user = user;
    await rotate(req);
  }

  @Post("sign-out")
  @HttpCode(204)
  signOut(@Session() session: session.Session) {
    return new Promise<void>((resolve, reject) => {
      session.destroy((error) => (error ? reject(error) : resolve()));
    });
  }
}

@Module({
  controllers: [PagesController],
  providers: [
    { provide: "NATS", useFactory: () => connect({ servers: process.env.NATS_URL }) },
    {
      provide: NatsStore,
      useFactory: (nc: NatsConnection) => new NatsStore(nc, { bucket: process.env.BUCKET, timeout: 20_000 }),
      inject: ["NATS"],
    },
  ],
})
export class AppModule implements NestModule, OnModuleDestroy {
  constructor(
    @Inject(NatsStore) private readonly store: NatsStore,
    @Inject("NATS") private readonly nc: NatsConnection,
  ) {}

  configure(consumer: MiddlewareConsumer) {
    const { store } = this;
    consumer
      .apply(session({ store, secret: "tests", resave: false, saveUninitialized: false }))
      .forRoutes("{*path}");
  }

  async onModuleDestroy() {
    await this.store.close();
    await this.nc.close();
  }
}

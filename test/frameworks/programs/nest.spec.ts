import type { INestApplication } from "@nestjs/common";
import { Test } from "@nestjs/testing";
import { handleOf, NatsStore } from "connect-nats";
import request from "supertest";
import { AppModule } from "./nest.module";

let app: INestApplication;

beforeAll(async () => {
  const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
  app = module.createNestApplication();
  await app.init();
});

afterAll(() => app.close());

it("keeps a session, gives it a new id at the sign-in, and ends it at the sign-out", async () => {
  const agent = request.agent(app.getHttpServer());
  const first = await agent.get("/").expect(200, { user: null, visits: 1 });
  await agent.post("/sign-in").send({ user: "ada" }).expect(204);
  await agent.get("/").expect(200, { user: "ada", visits: 2 });
  const stranger = request(app.getHttpServer()).get("/").set("Cookie", first.headers["set-cookie"]);
  await stranger.expect(200, { user: null, visits: 1 });
  await agent.post("/sign-out").expect(204);
  await agent.get("/").expect(200, { user: null, visits: 1 });
});

it("gives the store to what asks for it", async () => {
  const { sessions } = app.get(NatsStore);
  expect(sessions.handleOf("an id")).toBe(handleOf("an id"));
});

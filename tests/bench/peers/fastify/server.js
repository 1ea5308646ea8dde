// Node's way: fastify with its schemas, a pool of PostgreSQL connections, one INSERT a request.
import Fastify from "fastify";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 20 });
const label = { type: "string", minLength: 1, maxLength: 200 };
const time = { type: "string", format: "date-time" };
const body = {
  type: "object",
  required: ["source", "action"],
  additionalProperties: false,
  properties: { source: label, action: label, subject: label, time, data: {} },
};
const stored = {
  type: "object",
  properties: {
    id: { type: "string" },
    source: { type: "string" },
    action: { type: "string" },
    subject: { type: "string", nullable: true },
    time,
    received_at: time,
    data: {},
  },
};

const INSERT = {
  name: "insert",
  text: `INSERT INTO events (source, action, subject, time, data) VALUES ($1, $2, $3, coalesce($4, now()), $5)
    RETURNING id, source, action, subject, time, received_at, data`,
};
const RECENT = {
  name: "recent",
  text: "SELECT id, source, action, subject, time, received_at, data FROM events ORDER BY id DESC LIMIT $1",
};

await pool.query(`CREATE TABLE IF NOT EXISTS events (
  id bigserial PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now(), time timestamptz NOT NULL,
  source text NOT NULL, action text NOT NULL, subject text, data jsonb)`);
await pool.query("CREATE INDEX IF NOT EXISTS events_source ON events (source)");
await pool.query("CREATE INDEX IF NOT EXISTS events_time ON events (time)");

const app = Fastify({ logger: false });

app.post("/events", { schema: { body, response: { 201: stored } } }, async (request, reply) => {
  const { source, action, subject = null, time = null, data = null } = request.body;
  const values = [source, action, subject, time, JSON.stringify(data)];
  const { rows } = await pool.query({ ...INSERT, values });
  reply.code(201);
  return rows[0];
});

app.get("/events", { schema: { response: { 200: { type: "array", items: stored } } } }, async (request) => {
  const { rows } = await pool.query({ ...RECENT, values: [Number(request.query.limit ?? 50)] });
  return rows;
});

app.get("/healthz", async () => "ok");

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });

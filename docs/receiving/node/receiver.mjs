// A receiver of Hooklane's webhooks, without any package. It stores, answers, and then works.
//
// Environment: WEBHOOK_SECRETS (one or more, separated by spaces), PORT (8080),
// INBOX (a file, inbox.txt).

import { createHmac, timingSafeEqual } from "node:crypto";
import fs from "node:fs";
import http from "node:http";

const TOLERANCE_S = 300;
const LARGEST_BODY = 1024 * 1024;

// Whether one of the signatures was made with one of the secrets, a short while ago.
function genuine(secrets, headers, body) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(id)) return false;
  if (!/^[0-9]{1,12}$/.test(timestamp)) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_S) return false;
  let found = false;
  for (const secret of secrets) {
    const hmac = createHmac("sha256", secret).update(`${id}.${timestamp}.`).update(body);
    const expected = Buffer.from("v1," + hmac.digest("base64"));
    for (const one of (headers["webhook-signature"] ?? "").split(" ")) {
      const given = Buffer.from(one);
      if (given.length === expected.length && timingSafeEqual(given, expected)) found = true;
    }
  }
  return found;
}

// What is kept of a genuine request: what is absent is a `-`, the body is in base64.
function read(headers, body) {
  const header = (name, pattern) => (pattern.test(headers[name] ?? "") ? headers[name] : "-");
  return {
    id: headers["webhook-id"],
    lane: header("hooklane-lane", /^[0-9a-f]{32}$/),
    sequence: header("hooklane-sequence", /^[0-9]{1,18}$/),
    type: header("ce-type", /^[!-~]{1,512}$/),
    body: body.toString("base64"),
  };
}

// Your own work, one event after the other. Done twice for an event only after a crash.
async function work(event) {
  console.log("working on", event.type, Buffer.from(event.body, "base64").toString());
}

// What was accepted, in a file: a line an event. INBOX.done has the ids that were worked on.
// In a service of yours this is a table: `id` unique, the highest sequence by lane.
class Inbox {
  #ids = new Set();
  #highest = new Map();
  #todo = [];
  #working = false;

  constructor(path) {
    this.doneFile = `${path}.done`;
    const workedOn = wholeLines(this.doneFile).length;
    wholeLines(path).forEach((line, number) => {
      const [id, lane, sequence, type, body = ""] = line.split(" ");
      this.#remember({ id, lane, sequence, type, body }, number >= workedOn);
    });
    this.file = fs.openSync(path, "a");
  }

  // Keeps it for good before this returns, unless it was here, or comes too late.
  take(event) {
    if (this.#ids.has(event.id) || this.#isLate(event)) return;
    const { id, lane, sequence, type, body } = event;
    fs.writeSync(this.file, `${id} ${lane} ${sequence} ${type} ${body}\n`);
    fs.fsyncSync(this.file);
    this.#remember(event, true);
  }

  // A request that was long under way: a later event of its lane has been here since.
  #isLate({ lane, sequence }) {
    const known = this.#highest.get(lane);
    return known !== undefined && sequence !== "-" && BigInt(sequence) <= known;
  }

  #remember(event, todo) {
    this.#ids.add(event.id);
    if (event.lane !== "-" && event.sequence !== "-") {
      this.#highest.set(event.lane, BigInt(event.sequence));
    }
    if (todo) {
      this.#todo.push(event);
      setImmediate(() => this.#workOn());
    }
  }

  async #workOn() {
    if (this.#working) return;
    this.#working = true;
    for (let event; (event = this.#todo.shift()); ) {
      await work(event);
      fs.appendFileSync(this.doneFile, `${event.id}\n`);
    }
    this.#working = false;
  }
}

// The file's lines. Half a line is what a crash left: it was never answered, and goes.
function wholeLines(path) {
  if (!fs.existsSync(path)) return [];
  const found = fs.readFileSync(path, "latin1");
  const whole = found.slice(0, found.lastIndexOf("\n") + 1);
  if (whole !== found) fs.truncateSync(path, whole.length);
  return whole.split("\n").slice(0, -1);
}

// The body, byte by byte; null where the sender went away.
async function whole(request) {
  const parts = [];
  try {
    for await (const part of request) parts.push(part);
  } catch {
    return null;
  }
  return Buffer.concat(parts);
}

function theEnd(sentence) {
  console.error(sentence);
  process.exit(1);
}

const written = (process.env.WEBHOOK_SECRETS ?? "").split(" ").filter(Boolean);
if (written.length === 0) theEnd("Set WEBHOOK_SECRETS to signing secrets, separated by spaces.");
const secrets = written.map((secret) => {
  const text = secret.replace(/^whsec_/, "");
  const key = Buffer.from(text, "base64"); // which passes over whatever is none
  if (key.toString("base64") !== text) {
    theEnd("A secret in WEBHOOK_SECRETS is not base64 behind whsec_.");
  }
  return key;
});
const inbox = new Inbox(process.env.INBOX ?? "inbox.txt");

const server = http.createServer(async (request, response) => {
  const end = (status, text = "") => response.writeHead(status).end(text);
  const path = request.url.split("?")[0];
  if (request.method === "GET" && path === "/healthz") return end(200, "ok\n");
  if (path !== "/webhooks") return end(404);
  if (request.method !== "POST") return end(405);
  if (!(Number(request.headers["content-length"]) <= LARGEST_BODY)) return end(413);
  try {
    const body = await whole(request);
    if (body === null) return;
    if (!genuine(secrets, request.headers, body)) return end(401);
    inbox.take(read(request.headers, body));
    end(204);
  } catch (error) {
    // What cannot be stored is not answered: it comes again, to a receiver that was started again.
    console.error(error);
    process.exit(1);
  }
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1");

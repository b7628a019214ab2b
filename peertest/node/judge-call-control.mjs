// The judge of calls: RingCentral's ringcentral-call-control, unchanged, on the whole account's events. Each time nothing has
// happened for a while it compares what the SDK believes of each live session with what the server shows of it.
//
// Settings are RingCentral's own variables. Standard output is one JSON object a line: {"event":"ready"},
// {"event":"status", session, party, code, reason} for each change that the SDK tells, {"event":"checked", session, sdk, server} for
// each comparison, {"event":"forgotten", ...} for one of a session that the SDK gave up as over, and {"event":"loaded", sdk, events}:
// what a second instance, which saw no events, made of the presence. It only reads; it ends when SESSIONS sessions are over.
import { SDK } from "@ringcentral/sdk";
import { Subscriptions } from "@ringcentral/subscriptions";
import { RingCentralCallControl } from "ringcentral-call-control";

const env = process.env;
const wanted = Number(env.SESSIONS ?? 1);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

function fail(message) {
  console.error(message);
  process.exit(1);
}

const sdk = new SDK({
  server: env.RINGCENTRAL_SERVER_URL,
  clientId: env.RINGCENTRAL_CLIENT_ID,
  clientSecret: env.RINGCENTRAL_CLIENT_SECRET,
});
const platform = sdk.platform();

// view is what matters of a session, the same from events and from a GET.
function view(parties) {
  const out = {};
  for (const p of [...parties].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    out[p.id] = {
      direction: p.direction,
      extension: p.extensionId ?? p.owner?.extensionId ?? null,
      from: p.from?.phoneNumber ?? null,
      to: p.to?.phoneNumber ?? null,
      code: p.status.code,
      reason: p.status.reason ?? null,
      peer: p.status.peerId ?? null,
      queue: p.queueCall ?? false,
    };
  }
  return out;
}

async function newControl(preload) {
  const control = new RingCentralCallControl({ sdk, accountLevel: true, preloadSessions: preload });
  await control.initialize();
  return control;
}

let lastEvent = Date.now();
const seen = new Map(); // every session that the SDK had
const over = new Set();
const compared = new Map(); // by session: the text of the last comparison

async function server(id) {
  const answer = await platform.get(`/restapi/v1.0/account/~/telephony/sessions/${id}`);
  return view((await answer.json()).parties);
}

// look compares all sessions, unless something happens meanwhile.
async function look(control) {
  for (const [id, session] of seen) {
    if (over.has(id)) continue;
    const before = lastEvent;
    const forgotten = !control.sessionsMap.has(id);
    const sdkView = view(session.parties);
    const text = JSON.stringify([forgotten, sdkView]);
    if (compared.get(id) === text) continue;
    const serverView = await server(id);
    if (lastEvent !== before) return;
    compared.set(id, text);
    if (Object.values(serverView).every(({ code }) => code === "Disconnected" || code === "Gone")) over.add(id);
    tell(forgotten ? "forgotten" : "checked", { session: id, sdk: sdkView, server: serverView });
  }
}

// loadOnce lets a second instance begin in the middle of calls, once there are two.
let loaded = false;
async function loadOnce(control) {
  if (loaded || control.sessions.length < 2) return;
  const before = lastEvent;
  const second = await newControl(true);
  if (lastEvent !== before) return;
  loaded = true;
  const of = (c) => Object.fromEntries(c.sessions.map((s) => [s.id, { legacy: s.sessionId, parties: view(s.parties) }]).sort());
  tell("loaded", { sdk: of(second), events: of(control) });
}

setTimeout(() => fail("time is up"), Number(env.LIMIT_SECONDS ?? 120) * 1000).unref();
try {
  await platform.login({ jwt: env.RINGCENTRAL_JWT });
  const control = await newControl(true);
  control.on("new", (session) => {
    seen.set(session.id, session);
    session.on("status", ({ party }) => tell("status", { session: session.id, party: party.id, code: party.status.code, reason: party.status.reason }));
  });
  const subscription = new Subscriptions({ sdk }).createSubscription();
  subscription.setEventFilters(["/restapi/v1.0/account/~/telephony/sessions"]);
  subscription.on(subscription.events.notification, (n) => {
    lastEvent = Date.now();
    control.onNotificationEvent(n);
  });
  const wsSubscription = await subscription.register();
  tell("ready", { devices: control.devices.length });
  const quiet = 600;
  while (over.size < wanted) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (Date.now() - lastEvent < quiet) continue;
    await look(control);
    await loadOnce(control);
  }
  await wsSubscription.wse.revoke();
  await platform.logout();
  tell("done");
  process.exit(0);
} catch (e) {
  fail(e.stack);
}

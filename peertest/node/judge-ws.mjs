// The judge of the event feed: RingCentral's @rc-ex/ws, unchanged. It subscribes to the whole account's telephony events and to
// an agent's presence, and comes back by itself when its connection is lost, until CALLS sessions (default 1) have ended.
//
// Settings are RingCentral's own variables; AGENTS is a list of extension numbers. Standard output is one JSON object a line:
// {"event":"subscribed", filters, disabled}, {"event":"connected"} for each connection, {"event":"recovered", state},
// {"event":"refused", code} for an attempt that the server did not take, and {"event":"notification", ...} for each event.
import RingCentral from "@rc-ex/core";
import WebSocketExtension, { Events } from "@rc-ex/ws";

const env = process.env;
const wanted = Number(env.CALLS ?? 1);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

function fail(message) {
  console.error(message);
  process.exit(1);
}

const rc = new RingCentral({
  server: env.RINGCENTRAL_SERVER_URL,
  clientId: env.RINGCENTRAL_CLIENT_ID,
  clientSecret: env.RINGCENTRAL_CLIENT_SECRET,
});
const feed = new WebSocketExtension();

// A session is over when all parties that were seen have left it.
const sessions = new Map();
let ended = 0;
let busy = true; // the agent, as presence has it: its last event comes behind the session's

function take(notification) {
  const { body, event } = notification;
  if (!event.includes("/telephony/sessions")) {
    busy = body.totalActiveCalls > 0;
    tell("presence", { path: event, status: body.telephonyStatus, calls: body.totalActiveCalls });
    return;
  }
  const [party] = body.parties;
  tell("notification", {
    path: event,
    session: body.telephonySessionId,
    sequence: body.sequence,
    party: party.id,
    code: party.status.code,
    reason: party.status.reason,
  });
  const parties = sessions.get(body.telephonySessionId) ?? new Map();
  sessions.set(body.telephonySessionId, parties.set(party.id, party.status.code));
  if (parties.size > 1 && [...parties.values()].every((code) => code === "Disconnected")) ended++;
}

setTimeout(() => fail("time is up"), Number(env.LIMIT_SECONDS ?? 120) * 1000).unref();
try {
  await rc.authorize({ jwt: env.RINGCENTRAL_JWT });
  feed.eventEmitter.on(Events.connectionReady, () => tell("connected"));
  feed.eventEmitter.on(Events.autoRecoverSuccess, () => tell("recovered", { state: feed.connectionDetails.recoveryState }));
  feed.eventEmitter.on(Events.autoRecoverFailed, () => tell("recovered", { state: feed.connectionDetails.recoveryState }));
  feed.eventEmitter.on(Events.autoRecoverError, (e) => tell("refused", { message: e.message }));
  await rc.installExtension(feed);
  const agents = await rc.restapi().account().extension().list({ extensionNumber: env.AGENTS.split(",") });
  const subscription = await feed.subscribe([
    "/restapi/v1.0/account/~/telephony/sessions",
    `/restapi/v1.0/account/~/extension/${agents.records[0].id}/presence?detailedTelephonyState=true`,
  ], take);
  const info = subscription.subscriptionInfo;
  tell("subscribed", { id: info.id, filters: info.eventFilters, disabled: info.disabledFilters, status: info.status });
  await new Promise((resolve) => {
    const look = setInterval(() => {
      if (ended < wanted || busy) return;
      clearInterval(look);
      resolve();
    }, 100);
  });
  await feed.revoke();
  await rc.revoke();
  tell("revoked");
} catch (e) {
  fail(e.stack);
}

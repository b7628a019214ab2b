// The judge of logins and plain REST: RingCentral's @ringcentral/sdk with @ringcentral/subscriptions, unchanged. It logs in, reads
// what a supervisor reads, refreshes its token, is refused what there is not, hears of a call, and logs out.
//
// Settings are RingCentral's own variables; AGENTS is a list of extension numbers. The result is JSON on standard output.
import { SDK } from "@ringcentral/sdk";
import { Subscriptions } from "@ringcentral/subscriptions";

const env = process.env;
const sdk = new SDK({
  server: env.RINGCENTRAL_SERVER_URL,
  clientId: env.RINGCENTRAL_CLIENT_ID,
  clientSecret: env.RINGCENTRAL_CLIENT_SECRET,
});
const platform = sdk.platform();

function must(condition, message, value) {
  if (!condition) throw new Error(`${message}: ${JSON.stringify(value)}`);
}

const read = async (path, query) => (await platform.get(path, query)).json();

// refused gives what the SDK makes of an error.
async function refused(request) {
  try {
    const response = await request();
    throw new Error(`want a refusal, got ${response.status}`);
  } catch (e) {
    if (!e.response) throw e;
    const body = await e.response.clone().json();
    return { status: e.response.status, code: body.errorCode, codes: body.errors?.map((x) => x.errorCode), message: e.message };
  }
}

// hear subscribes and waits for the first event of a session that is not over.
async function hear(agents) {
  const subscription = new Subscriptions({ sdk }).createSubscription();
  subscription.setEventFilters(agents.map((id) => `/restapi/v1.0/account/~/extension/${id}/telephony/sessions`));
  let registered;
  const heard = new Promise((resolve) => {
    subscription.on(subscription.events.notification, (n) => {
      if (n.body.parties[0].status.code !== "Disconnected") resolve(n);
    });
    registered = subscription.register();
  });
  const wsSubscription = await registered;
  const notification = await heard;
  const info = wsSubscription.subscriptionInfo;
  await wsSubscription.wse.revoke();
  return { filters: info.eventFilters, event: notification.event, session: notification.body.telephonySessionId, owner: notification.ownerId };
}

try {
  const limit = setTimeout(() => {
    console.error("time is up");
    process.exit(1);
  }, Number(env.LIMIT_SECONDS ?? 120) * 1000);
  const first = await (await platform.login({ jwt: env.RINGCENTRAL_JWT })).json();
  must(await platform.loggedIn(), "not logged in", Object.keys(first));
  const own = await read("/restapi/v1.0/account/~/extension/~");
  const list = await read("/restapi/v1.0/account/~/extension", { extensionNumber: env.AGENTS.split(",") });
  const agents = list.records.map((x) => String(x.id));
  const groups = await read("/restapi/v1.0/account/~/call-monitoring-groups");
  const members = await read(`/restapi/v1.0/account/~/call-monitoring-groups/${groups.records[0].id}/members`);
  const devices = await read("/restapi/v1.0/account/~/extension/~/device");
  const presence = await read("/restapi/v1.0/account/~/presence", { detailedTelephonyState: true });
  const refreshed = await (await platform.refresh()).json();
  must(refreshed.access_token !== first.access_token, "the token is the same after a refresh", Object.keys(refreshed));
  const heard = await hear(agents);
  const session = await read(`/restapi/v1.0/account/~/telephony/sessions/${heard.session}`);
  const limits = (await platform.get(`/restapi/v1.0/account/~/telephony/sessions/${heard.session}`)).headers;
  const refusals = {
    session: await refused(() => platform.get("/restapi/v1.0/account/~/telephony/sessions/s-nobody-knows")),
    body: await refused(() => platform.post(`/restapi/v1.0/account/~/telephony/sessions/${heard.session}/supervise`, { mode: "Whisper" })),
    device: await refused(() => platform.post(`/restapi/v1.0/account/~/telephony/sessions/${heard.session}/supervise`, {
      mode: "Listen", supervisorDeviceId: "1", agentExtensionId: agents[0],
    })),
  };
  await platform.logout();
  must(!(await platform.auth().accessTokenValid()), "the token lives on after the logout", null);
  clearTimeout(limit);
  console.log(JSON.stringify({
    extension: String(own.id),
    scope: first.scope,
    owner: first.owner_id,
    agents,
    members: members.records.map((m) => ({ id: m.id, permissions: m.permissions })),
    devices: devices.records.map((d) => ({ id: d.id, type: d.type, status: d.status })),
    presences: presence.records.length,
    heard,
    parties: session.parties.length,
    limits: ["group", "limit", "remaining", "window"].map((name) => limits.get(`x-rate-limit-${name}`)),
    refusals,
  }));
  process.exit(0);
} catch (e) {
  console.error(e.stack);
  process.exit(1);
}

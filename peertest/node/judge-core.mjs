// The REST judge: RingCentral's @rc-ex/core, unchanged, against a server that claims to be RingCentral.
//
//	node judge-core.mjs device            logs in, finds the supervisor's device: {deviceId, sipInfo}
//	node judge-core.mjs supervise DEVICE  finds an agent's call and asks for both parties: {session, parties, answers}
//
// Settings are RingCentral's own variables; AGENTS is a list of extension numbers. The result is JSON on standard output.
import RingCentral from "@rc-ex/core";

const env = process.env;
const rc = new RingCentral({
  server: env.RINGCENTRAL_SERVER_URL,
  clientId: env.RINGCENTRAL_CLIENT_ID,
  clientSecret: env.RINGCENTRAL_CLIENT_SECRET,
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function must(condition, message, value) {
  if (!condition) throw new Error(`${message}: ${JSON.stringify(value)}`);
}

async function device() {
  const list = await rc.restapi().account().extension().device().get();
  // Only an "Existing Phone" can be a soft phone of ours.
  const found = list.records.find((d) => d.type === "OtherPhone");
  must(found, "no device of type OtherPhone", list);
  const sipInfo = await rc.restapi().account().device(found.id).sipInfo().get();
  for (const key of ["domain", "userName", "password", "authorizationId"]) {
    must(typeof sipInfo[key] === "string" && sipInfo[key] !== "", `sip-info has no ${key}`, Object.keys(sipInfo));
  }
  must(sipInfo.outboundProxies?.length > 0, "sip-info has no outboundProxies", Object.keys(sipInfo));
  return { deviceId: found.id, sipInfo };
}

// Account presence is a heavy request: ten a minute.
const lookEvery = 7000;

async function agentCall(agents) {
  for (let look = 0; look < 12; look++) {
    if (look > 0) await sleep(lookEvery);
    const presence = await rc.restapi().account().presence().get({ detailedTelephonyState: true, sipData: true });
    for (const record of presence.records) {
      if (!agents.includes(record.extension?.extensionNumber)) continue;
      const call = record.activeCalls?.find((c) => c.telephonySessionId && c.telephonyStatus === "CallConnected");
      if (call) return { call, agent: record.extension };
    }
  }
  throw new Error("no agent is in a call");
}

async function supervise(deviceId) {
  const { call, agent } = await agentCall(env.AGENTS.split(","));
  const sessions = rc.restapi().account().telephony().sessions(call.telephonySessionId);
  const session = await sessions.get();
  must(session.id === call.telephonySessionId, "another session came", session.id);
  const parties = session.parties.filter((p) => p.status?.code === "Answered" && !p.standAlone);
  must(parties.length === 2, "want two answered parties", session.parties);
  must(parties.some((p) => p.extensionId === String(agent.id)), "the agent is none of them", session.parties);
  const answers = [];
  for (const party of parties) {
    answers.push(await sessions.parties(party.id).supervise().post({
      mode: "Listen",
      supervisorDeviceId: deviceId,
      agentExtensionId: String(agent.id),
      autoAnswer: true,
      mediaSDP: "sendOnly",
    }));
  }
  return { session: session.id, parties: parties.map((p) => p.id), answers };
}

const [what, argument] = process.argv.slice(2);
try {
  await rc.authorize({ jwt: env.RINGCENTRAL_JWT });
  console.log(JSON.stringify(what === "device" ? await device() : await supervise(argument)));
  await rc.revoke();
} catch (e) {
  console.error(e.message);
  process.exitCode = 1;
}

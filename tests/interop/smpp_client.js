#!/usr/bin/env node
// Holds the SMSC sandbox against an independent ESME, node-smpp.
//
// Usage: smpp_client.js HOST:PORT CONTROL   (as the sandbox prints them; account omnigate:sandbox1)
//
// Its window is open: what it sends at once is answered in any order, and it finds each answer by its sequence number.
"use strict";
const smpp = require("smpp");

const [address, controlUrl] = process.argv.slice(2);
const PERSON = "84912345678";
const SENDER = { source_addr_ton: 5, source_addr_npi: 0, source_addr: "OMNIGATE" };
const DEADLINE = 10_000;
let checks = 0;

function check(holds, what) {
  checks += 1;
  if (!holds) throw new Error(`not so: ${what}`);
}

async function control(path, body) {
  const init = body && {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  };
  const response = await fetch(`${controlUrl}/control${path}`, init);
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return response.json();
}

function within(what, promise) {
  const late = new Promise((_, reject) => setTimeout(reject, DEADLINE, new Error(`too late: ${what}`)).unref());
  return Promise.race([promise, late]);
}

const ask = (session, command, fields) =>
  within(command, new Promise((resolve) => session[command](fields, resolve)));

async function bound(kind, password = "sandbox1") {
  const session = smpp.connect({ url: `smpp://${address}` });
  session.on("error", (error) => {
    throw error;
  });
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  const response = await ask(session, `bind_${kind}`, { system_id: "omnigate", password });
  return { session, response };
}

async function gone(session) {
  check((await ask(session, "unbind", {})).command_status === 0, "unbind");
  await within("the end", new Promise((resolve) => session.close(resolve)));
}

const submit = (session, fields) =>
  ask(session, "submit_sm", { ...SENDER, dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: PERSON, ...fields });

// The next `count` deliver_sm, each acknowledged.
function delivered(session, count) {
  const got = [];
  const all = new Promise((resolve) => {
    session.on("deliver_sm", function take(pdu) {
      session.send(pdu.response());
      got.push(pdu);
      if (got.length === count) {
        session.off("deliver_sm", take);
        resolve(got);
      }
    });
  });
  return within(`${count} deliver_sm`, all);
}

const text = (pdu) => (pdu.message_payload ?? pdu.short_message).message;

async function binds() {
  for (const kind of ["transmitter", "receiver", "transceiver"]) {
    const { session, response } = await bound(kind);
    check(response.command_status === 0 && response.system_id === "SANDBOX", `bind as ${kind}`);
    check(response.sc_interface_version === 0x34, "the version");
    await gone(session);
  }
  const { session, response } = await bound("transceiver", "wrong");
  check(response.command_status === smpp.ESME_RINVPASWD, "a wrong password");
  session.close();
}

async function submissions() {
  const { session } = await bound("transceiver");
  await control("/limits", { window: 0 });
  await control("/faults", { fault: { kind: "late", ms: 20_000 }, every: 2, times: 5 });
  const receipts = delivered(session, 10);
  const numbers = Array.from({ length: 10 }, (_, number) => number);
  const order = [];
  const answers = await Promise.all(
    numbers.map(async (number) => {
      const answer = await submit(session, { short_message: `tin số ${number} đ`, registered_delivery: 1 });
      order.push(number);
      return answer;
    }),
  );
  check(answers.every((answer) => answer.command_status === 0), "all are taken");
  check(order.join() !== numbers.join(), `answers overtake each other: ${order}`);
  const ids = answers.map((answer) => answer.message_id);
  check(new Set(ids).size === 10, "ten ids");
  const got = await receipts;
  check(got.every((pdu) => pdu.esm_class === 4 && pdu.message_state === 2), "ten receipts");
  check(ids.every((id) => got.some((pdu) => pdu.receipted_message_id === id && text(pdu).startsWith(`id:${id} `))),
    "each names its message");
  const { texts } = await control(`/texts?to=${PERSON}`);
  check(numbers.every((number) => texts.some((whole) => whole.text === `tin số ${number} đ`)), "ten texts");
  await control("/faults", { fault: { kind: "status", status: smpp.ESME_RMSGQFUL } });
  check((await submit(session, { short_message: "x" })).command_status === smpp.ESME_RMSGQFUL, "queue full");
  const nack = await new Promise((resolve) => {
    session.query_sm({ message_id: ids[0], source_addr: "OMNIGATE" }, resolve);
  });
  check(nack.command === "generic_nack" && nack.command_status === smpp.ESME_RINVCMDID, "an unknown command");
  await gone(session);
}

async function people() {
  const { session } = await bound("receiver");
  const write = (fields) => control("/write", { from: PERSON, to: "8088", ...fields });
  let coming = delivered(session, 1);
  await write({ text: "chào 👋", tlvs: [[0x1454, "00ff"]] });
  check(text((await coming)[0]) === "chào 👋", "UCS-2 with a surrogate pair, and an unknown TLV");
  const long = "Tôi muốn đặt hàng. ".repeat(8);
  coming = delivered(session, 3);
  await write({ text: long, long: "udh16" });
  const pieces = await coming;
  check(pieces.every((pdu) => pdu.short_message.udh?.length === 1), "user data headers");
  check(pieces.map(text).join("") === long, "whole again");
  coming = delivered(session, 1);
  await write({ text: long, long: "payload" });
  check(text((await coming)[0]) === long, "message_payload");
  await gone(session);
}

(async () => {
  await binds();
  await submissions();
  await people();
  console.log(`node-smpp: ${checks} checks hold`);
  process.exit(0);
})().catch((error) => {
  console.error(error.message);
  process.exit(1);
});

// Writes the golden files in this folder: what the vendors' published Node packages send for the calls below.
//
//     npm install @rudderstack/rudder-sdk-node@3.0.13 @amplitude/analytics-node@1.5.73 \
//                 @amplitude/node@1.10.2 @amplitude/identify@1.10.2
//     NODE_PATH=node_modules node tests/vendors/goldens/regenerate.cjs
//
// Nothing leaves the machine: every package sends to a server on localhost.

const fs = require("fs");
const http = require("http");
const path = require("path");
const zlib = require("zlib");

const TRAITS = { name: "Name Username", email: "name@website.com", plan: "Free", friends: 21 };
const TIMESTAMP = "2026-11-20T20:16:11.414Z";

const RUDDERSTACK_CALLS = [
  ["identify", { userId: "123456", traits: TRAITS }],
  ["identify", { anonymousId: "visitor-1", traits: TRAITS, context: { traits: { old: 1 }, ip: "10.0.0.1" } }],
  ["identify", { userId: "123456" }],
  ["identify", { userId: "123456", traits: {} }],
  ["track", { userId: "123456", event: "Item Viewed", properties: { revenue: 19.95, shippingMethod: "Premium" } }],
  ["track", { userId: 123456, event: "Item Viewed" }],
  ["track", { userId: "u", anonymousId: "a", event: "e", properties: {}, integrations: { All: false, Amplitude: true } }],
  ["track", { userId: "u", event: "e", messageId: "my-own-id", timestamp: TIMESTAMP, context: { library: { name: "x" } } }],
  ["page", { userId: "12345", category: "Food", name: "Pizza", properties: { url: "https://dominos.com" } }],
  ["page", { anonymousId: "visitor-1" }],
  ["screen", { userId: "12345", category: "Food", name: "Pizza", properties: { screenSize: 10, title: "Pizza" } }],
  ["group", { userId: "12345", groupId: "1", traits: { name: "Company", description: "Google" } }],
  ["group", { userId: "12345", groupId: 7 }],
  ["alias", { userId: "new_id", previousId: "old_id" }],
];

const ALL_OPERATIONS = [
  ["set", "a", "text"], ["setOnce", "b", { c: [1, 2] }], ["add", "d", -1.5], ["append", "e", ["x", "y"]],
  ["prepend", "f", 2], ["preInsert", "g", "z"], ["postInsert", "h", ["w"]], ["remove", "i", "v"], ["unset", "j"],
];
const GROUP_OPERATIONS = ALL_OPERATIONS.filter(([name]) => !["preInsert", "postInsert", "remove"].includes(name));
const DOCS_EXAMPLE = {
  event_type: "Node.js Event", user_id: "datamonster@gmail.com", location_lat: 37.77, location_lng: -122.39,
  ip: "127.0.0.1", event_properties: { keyString: "valueString", keyInt: 11, keyBool: true },
};
const REVENUES = [
  { price: 3.99 }, { price: 5, quantity: 3, productId: "com.example.sku" }, { price: -1.5, revenueType: "refund" },
  { price: 1, quantity: 2, productId: "p", revenueType: "purchase", currency: "USD", revenue: 9.5, receipt: "r",
    receiptSig: "s", eventProperties: { extra: "prop", $price: 7 } },
];

async function listen(answer) {
  const bodies = [];
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const raw = Buffer.concat(parts);
      bodies.push(JSON.parse(request.headers["content-encoding"] === "gzip" ? zlib.gunzipSync(raw) : raw));
      response.writeHead(200, { "content-type": "application/json" });
      response.end(answer);
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { bodies, close: () => server.close(), url: `http://127.0.0.1:${server.address().port}` };
}

async function rudderstack() {
  const RudderAnalytics = require("@rudderstack/rudder-sdk-node").default ?? require("@rudderstack/rudder-sdk-node");
  const server = await listen("ok");
  const rows = [];
  for (const [call, fields] of RUDDERSTACK_CALLS) {
    const client = new RudderAnalytics("write-key", { dataPlaneUrl: server.url, flushAt: 1, logLevel: "silly" });
    const message = { ...fields };
    if (message.timestamp) message.timestamp = new Date(message.timestamp);
    await new Promise((done) => { client[call](message, done); client.flush(); });
    rows.push({ call, fields, message: server.bodies.pop().batch[0] });
  }
  server.close();
  return { package: "@rudderstack/rudder-sdk-node 3.0.13", rows };
}

function build(Identify, operations) {
  return operations.reduce((identify, [name, ...values]) => identify[name](...values), new Identify());
}

async function analyticsNode(rows) {
  const sdk = require("@amplitude/analytics-node");
  const server = await listen('{"code":200,"events_ingested":1,"payload_size_bytes":1,"server_upload_time":1}');
  const client = sdk.createInstance();
  await client.init("api-key", { serverUrl: `${server.url}/2/httpapi`, flushIntervalMillis: 5, logLevel: 0 }).promise;
  const send = async (call, given, returned) => {
    await returned.promise;
    rows.push({ package: "@amplitude/analytics-node 1.5.73", call, given, event: server.bodies.pop().events[0] });
  };
  const ids = { user_id: "user-alpha", device_id: "device-1" };
  await send("log_event", DOCS_EXAMPLE, client.track(DOCS_EXAMPLE));
  await send("identify", ALL_OPERATIONS, client.identify(build(sdk.Identify, ALL_OPERATIONS), ids));
  await send("identify", [["clearAll"]], client.identify(build(sdk.Identify, [["clearAll"]]), ids));
  await send("group", GROUP_OPERATIONS, client.groupIdentify("org", "acme", build(sdk.Identify, GROUP_OPERATIONS), ids));
  await send("group", null, client.setGroup("org", "acme", ids));
  for (const given of REVENUES) {
    const revenue = new sdk.Revenue();
    for (const [name, value] of Object.entries(given)) revenue[`set${name[0].toUpperCase()}${name.slice(1)}`](value);
    await send("revenue", given, client.revenue(revenue, ids));
  }
  server.close();
}

async function oldNode(rows) {
  const sdk = require("@amplitude/node");
  const { Identify } = require("@amplitude/identify");
  const server = await listen('{"code":200,"events_ingested":1,"payload_size_bytes":1,"server_upload_time":1}');
  const client = sdk.init("api-key", { serverUrl: `${server.url}/2/httpapi` });
  const send = async (call, given, event) => {
    const sent = client.logEvent(event);
    await client.flush();
    await sent;
    rows.push({ package: "@amplitude/node 1.10.2", call, given, event: server.bodies.pop().events[0] });
  };
  await send("log_event", DOCS_EXAMPLE, { ...DOCS_EXAMPLE });
  await send("identify", ALL_OPERATIONS, build(Identify, ALL_OPERATIONS).identifyUser("user-alpha", "device-1"));
  await send("group", GROUP_OPERATIONS, build(Identify, GROUP_OPERATIONS).identifyGroup("org", "acme"));
  server.close();
}

async function main() {
  const write = (name, value) =>
    fs.writeFileSync(path.join(__dirname, name), `${JSON.stringify(value, null, 1)}\n`);
  write("rudderstack.json", await rudderstack());
  const rows = [];
  await analyticsNode(rows);
  await oldNode(rows);
  write("amplitude.json", { rows });
  process.exit(0);
}

main();

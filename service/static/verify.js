// Verifies the log in this browser: the checkpoint's signature (Ed25519), that the log has the entries it shows (RFC 6962),
// and that it only grew since this browser looked last. Nothing the page says of itself is believed.

const MOST_ENTRIES = 12;
const SEEN = "alteraser.checkpoint";
const list = document.getElementById("checks");
const again = document.getElementById("verify");
const text = new TextEncoder();

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const unpadded = (base64url) => bytes(base64url.replaceAll("-", "+").replaceAll("_", "/"));
const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const equal = (one, other) => one.length === other.length && one.every((byte, k) => byte === other[k]);
const hash = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));
const leaf = (entry) => hash([0], text.encode(entry));
const node = (left, right) => hash([1], left, right);

async function fetched(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}`);
  return answer;
}

function parsed(note) {
  const end = note.lastIndexOf("\n\n");
  const signed = note.slice(0, end + 1);
  const [origin, size, root] = signed.split("\n");
  const signatures = note.slice(end + 2).split("\n").filter((line) => line.startsWith(`— ${origin} `)).map((line) => bytes(line.slice(line.lastIndexOf(" ") + 1)));
  return { origin, size: Number(size), root: bytes(root), signed, signatures };
}

async function isSigned(checkpoint) {
  const { keys } = await (await fetched("/.well-known/jwks.json")).json();
  for (const key of keys.filter((each) => each.crv === "Ed25519")) {
    const named = (await hash(text.encode(`${checkpoint.origin}\n`), [1], unpadded(key.x))).slice(0, 4);
    for (const signature of checkpoint.signatures.filter((each) => equal(each.slice(0, 4), named))) {
      const publicKey = await crypto.subtle.importKey("raw", unpadded(key.x), "Ed25519", false, ["verify"]);
      return crypto.subtle.verify("Ed25519", publicKey, signature.slice(4), text.encode(checkpoint.signed));
    }
  }
  return false;
}

// RFC 9162, 2.1.3.2
async function isIncluded(entry, index, checkpoint, proof) {
  let place = index;
  let last = checkpoint.size - 1;
  let value = await leaf(entry);
  for (const sibling of proof) {
    if (last === 0) return false;
    if (place % 2 || place === last) {
      value = await node(sibling, value);
      while (place && place % 2 === 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    } else {
      value = await node(value, sibling);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 && equal(value, checkpoint.root);
}

// RFC 9162, 2.1.4.2
async function isExtended(earlier, later, proof) {
  if (earlier.size === later.size) return equal(earlier.root, later.root);
  const isWhole = (earlier.size & (earlier.size - 1)) === 0;
  const [start, ...path] = isWhole ? [earlier.root, ...proof] : proof;
  let place = earlier.size - 1;
  let last = later.size - 1;
  while (place % 2) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  let [old, now] = [start, start];
  for (const sibling of path) {
    if (last === 0) return false;
    if (place % 2 || place === last) {
      [old, now] = [await node(sibling, old), await node(sibling, now)];
      while (place && place % 2 === 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    } else {
      now = await node(now, sibling);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 && equal(old, earlier.root) && equal(now, later.root);
}

function told(words) {
  const item = document.createElement("li");
  item.className = "check";
  item.textContent = words;
  list.append(item);
  return (isGood, outcome) => {
    item.className = `check ${isGood ? "good" : "bad"}`;
    item.textContent = `${words}: ${outcome}`;
    return isGood;
  };
}

async function checkSignature(checkpoint) {
  const done = told(`Checkpoint of ${checkpoint.size} entries, signed by a published receipt key`);
  try {
    const isGood = await isSigned(checkpoint);
    return done(isGood, isGood ? "the signature is good" : "THE SIGNATURE IS WRONG");
  } catch (error) {
    return done(false, error.name === "NotSupportedError" ? "this browser has no Ed25519; use `alteraser log verify`" : error.message);
  }
}

async function checkEntry(index, checkpoint) {
  const done = told(`Entry ${index}`);
  if (index >= checkpoint.size) return done(true, "not signed yet; the next checkpoint will have it");
  const [{ entry }, { hashes }] = await Promise.all([
    fetched(`/v1/log/entries/${index}`).then((answer) => answer.json()),
    fetched(`/v1/log/proof?index=${index}&size=${checkpoint.size}`).then((answer) => answer.json()),
  ]);
  const isGood = await isIncluded(entry, index, checkpoint, hashes.map(bytes));
  return done(isGood, isGood ? `in the log, by ${hashes.length} hashes to the signed root` : "NOT IN THE SIGNED LOG");
}

async function checkExtension(checkpoint) {
  const seen = localStorage.getItem(SEEN);
  const earlier = seen && parsed(seen);
  if (!earlier || earlier.origin !== checkpoint.origin) return told("The log's earlier states")(true, "this browser looks for the first time");
  const done = told(`The log as this browser saw it last, ${earlier.size} entries`);
  if (earlier.size > checkpoint.size) return done(false, "THE LOG WAS CUT");
  const { hashes } = await (await fetched(`/v1/log/proof?first=${earlier.size}&size=${checkpoint.size}`)).json();
  const isGood = await isExtended(earlier, checkpoint, hashes.map(bytes));
  return done(isGood, isGood ? "is where it begins now" : "HISTORY WAS REWRITTEN");
}

async function verifyOnce() {
  if (again.ariaDisabled === "true") return;
  again.ariaDisabled = "true"; // and not `disabled`, which would take the focus from it
  delete list.dataset.outcome;
  list.replaceChildren();
  await verify();
  again.ariaDisabled = "false";
}

async function verify() {
  if (!globalThis.crypto?.subtle) {
    told("Verification")(false, "a browser computes hashes only over HTTPS or on localhost; use `alteraser log verify`");
    return;
  }
  try {
    const note = await (await fetched("/v1/log/checkpoint")).text();
    const checkpoint = parsed(note);
    const isGood = [await checkSignature(checkpoint), await checkExtension(checkpoint)];
    const shown = [...document.querySelectorAll("[data-entry]")].map((each) => Number(each.dataset.entry));
    const asked = list.dataset.asked ? [Number(list.dataset.asked)] : [];
    for (const index of new Set([...asked, ...shown.slice(0, MOST_ENTRIES)])) isGood.push(await checkEntry(index, checkpoint));
    if (isGood.every(Boolean)) localStorage.setItem(SEEN, note);
    list.dataset.outcome = isGood.every(Boolean) ? "good" : "bad";
  } catch (error) {
    told("Verification")(false, error.message);
  }
}

again.addEventListener("click", verifyOnce);
verifyOnce();

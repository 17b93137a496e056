// The only module that talks to the server: `fetch`, and one `EventSource`, on /__dev/.
//
// What every view needs (`kept`) is kept here and drawn from memory. The stream carries the events, from the first that is
// stored on, and says which part changed; only that is read again. Without a connection, what is kept stays as it was.
const ROOT = '/__dev/', RETRY_MS = 4000
/** What is read again after a change of a part. */
const STALE = { rules: ['names', 'health'], names: ['names'], overrides: ['overrides'], faults: ['faults'], users: ['users'], clients: ['clients', 'names'] }
const kept = { health: {}, names: { names: [], unknown: [] }, overrides: [], faults: [], users: {}, clients: [] }
const listeners = new Set()
const connection = { up: false, since: Date.now(), retryAt: 0, restarted: false }
let stream = null, retry = 0
// The stream's place. A restarted server counts from 1 again: `era` tells its events from those of the one before.
let lastSeq = 0, order = 0, era = 0, isCaughtUp = false

/** A refusal by the server, or no answer. `status` is 0 without an answer; `errors` are the mistakes that it names. */
export class ApiError extends Error {
	constructor(status, text, errors = []) {
		super(text)
		this.status = status
		this.errors = errors
	}
}

async function call(method, path, body) {
	let answer
	try {
		answer = await fetch(ROOT + path, body === undefined ? { method } : { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
	} catch {
		throw new ApiError(0, 'No connection to the server')
	}
	const text = await answer.text()
	let value
	try { value = text ? JSON.parse(text) : null } catch { value = null }
	if (!answer.ok) throw new ApiError(answer.status, value?.error || `${answer.status} ${answer.statusText}`, value?.errors || [])
	return value
}
const get = (path) => call('GET', path)
const part = encodeURIComponent
const query = (values) => {
	const text = new URLSearchParams(Object.entries(values).filter(([, v]) => v !== '' && v != null)).toString()
	return text ? `?${text}` : ''
}
function tell(what, ...values) {
	for (const listener of listeners) listener[what]?.(...values)
}

// --- what is kept ---------------------------------------------------------------------------------------------------
const READ = {
	health: () => get('health'),
	names: () => get('names'),
	overrides: async () => (await get('overrides')).overrides,
	faults: async () => (await get('faults')).faults,
	users: async () => (await get('users')).users,
	clients: async () => (await get('clients')).clients,
}
async function refresh(...names) {
	await Promise.all(names.map(async (name) => {
		try { kept[name] = await READ[name]() } catch (error) {
			// One part that cannot be read does not take the others with it.
			if (!error.status) throw error
		}
	}))
}
/** Change something at the server, then read again what it changes; the stream tells the other pages. */
async function change(what, method, path, body) {
	const result = await call(method, path, body)
	await refresh(...STALE[what])
	tell('changed', what)
	return result ?? true
}

// --- the connection -------------------------------------------------------------------------------------------------
export async function connect() {
	clearTimeout(retry)
	stream?.close()
	const before = kept.health.run_id
	try {
		await refresh(...Object.keys(kept))
	} catch {
		lost()
		return
	}
	if (before && before !== kept.health.run_id) restart()
	Object.assign(connection, { up: true, since: Date.now() })
	listen()
	tell('connection', connection)
	for (const name of Object.keys(kept)) tell('changed', name)
}
function restart() {
	// With --keep the server still has them, and sends them again.
	if (lastSeq && kept.health.keep_file) tell('forgotten')
	else if (lastSeq) connection.restarted = true
	era++
	lastSeq = 0
}
function listen() {
	isCaughtUp = kept.health.last_seq <= lastSeq
	stream = new EventSource(`${ROOT}events/stream${query({ since: String(lastSeq) })}`)
	const on = (kind, handle) => stream.addEventListener(kind, (message) => handle(JSON.parse(message.data)))
	on('events', (events) => {
		for (const event of events) arrive(event)
		isCaughtUp ||= lastSeq >= kept.health.last_seq
	})
	on('hello', catchUp)
	on('receipts', (receipts) => receipts.forEach((receipt) => tell('receipt', receipt)))
	on('summary', () => { isCaughtUp = true })
	on('changed', changed)
	stream.onerror = lost
}
/** Read again what changed after it was read and before the stream began. */
async function catchUp() {
	const before = JSON.stringify(kept.health.changes)
	await refresh('health').catch(() => {})
	if (JSON.stringify(kept.health.changes) !== before) changed(Object.keys(STALE))
}
function arrive(event) {
	if (event.seq <= lastSeq) return
	lastSeq = event.seq
	tell('event', Object.assign(event, { order: ++order, era }))
}
async function changed(parts) {
	try { await refresh(...new Set(parts.flatMap((name) => STALE[name] || []))) } catch { return }
	if (parts.includes('events')) startOver()
	for (const name of parts) tell('changed', name)
}
/** Events were deleted: read those that are left. */
function startOver() {
	lastSeq = 0
	tell('forgotten')
	stream.close()
	listen()
}
function lost() {
	stream?.close()
	if (connection.up || !connection.retryAt) connection.since = Date.now()
	Object.assign(connection, { up: false, retryAt: Date.now() + RETRY_MS })
	clearTimeout(retry)
	retry = setTimeout(connect, RETRY_MS)
	tell('connection', connection)
}
/** The number of an arrival, if the server that runs now has it. */
function known(arrival) {
	if (arrival.era !== era) throw new ApiError(404, 'It is from before the server was restarted')
	return arrival.seq
}

export const api = {
	get url() { return kept.health.url || location.origin },
	get keeps() { return kept.health.keep || 50_000 },
	/** Whether all stored events have been read. */
	get isCaughtUp() { return isCaughtUp },
	exportUrl: `${ROOT}events?format=application/x-ndjson`,
	snapshotUrl: `${ROOT}snapshot`,
	/** A listener has any of: event(arrival), receipt(receipt), forgotten(), changed(part), connection(state). */
	subscribe(listener) { listeners.add(listener) },
	refresh: (name) => refresh(name).catch(() => {}),
	health: () => kept.health,
	names: () => kept.names,
	overrides: () => kept.overrides,
	faults: () => kept.faults,
	users: () => kept.users,
	clients: () => kept.clients,
	/** Let go of the events of a server that ended. */
	forget() { connection.restarted = false; startOver() },

	// Events.
	/** What the client said about an event; its vendors by their name here. */
	async story(arrival) {
		const { story } = await get(`events/${part(arrival.id || known(arrival))}`)
		return story && { ...story, vendors: Object.fromEntries(Object.entries(story.vendors || {}).map(([name, v]) => [name.toLowerCase(), v])) }
	},
	body: async (arrival) => get(`events/${known(arrival)}/body`),
	async request(arrival) { known(arrival); return get(`requests/${arrival.request}`) },
	find: async (q) => (await get(`events${query({ q, limit: 100_000 })}`)).events.map((e) => e.seq),
	resend: async (arrival, vendor) => call('POST', `events/${known(arrival)}/send`, { to: vendor }),
	send: ({ verb, ...event }) => call('POST', `verbs/${verb}`, event),
	deleteEvents: () => call('DELETE', 'events'),
	reset: () => change('faults', 'POST', 'reset'),
	loadSnapshot: (snapshot) => call('POST', 'snapshot', snapshot),

	// Decisions.
	async evaluate(users, names) { return (await call('POST', 'evaluate', { users, names })).results },
	sample: async (n) => (await call('POST', 'evaluate/sample', { n })).names,
	putUser: (id, user) => change('users', 'PUT', 'users', { ...kept.users, [id]: user }),

	// Rules.
	rule: (name) => get(`ruleset/${part(name)}`),
	dryRun: (name, spec) => call('PATCH', `ruleset/${part(name)}?dry_run=1`, { spec }),
	putRule: (name, spec) => change('rules', 'PATCH', `ruleset/${part(name)}`, { spec }),
	patchRule: (name, values) => change('rules', 'PATCH', `ruleset/${part(name)}`, values),
	makeGate: (name) => change('rules', 'POST', `ruleset/${part(name)}`, {}),
	writeRules: () => change('rules', 'PUT', 'ruleset/file'),
	revertRules: () => change('rules', 'DELETE', 'ruleset/file'),

	// Switches.
	override: (values) => change('overrides', 'PUT', 'overrides', values),
	removeOverride: ({ name, user }) => change('overrides', 'DELETE', `overrides/${part(name)}?user=${part(user || '')}`),
	removeOverrides: () => change('overrides', 'DELETE', 'overrides'),
	addFault: (fault) => change('faults', 'POST', 'faults', fault),
	removeFault: ({ id }) => change('faults', 'DELETE', `faults/${part(id)}`),
	removeFaults: () => change('faults', 'DELETE', 'faults'),
}

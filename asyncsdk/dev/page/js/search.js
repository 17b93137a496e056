// The search language, the same in the page, in its address and in the API:
//   vendor:amplitude name:"Order" user:u1,u2 is:rejected -name:page attempt:>1 size:>1k after:14:02 prop:sku=teapot "free text"
// Words narrow the result; the values of one word, separated by commas, widen it; what is quoted is one value. A word
// with a mistake is ignored, and its `error` says why, so that a half-typed query never empties the list.
export const KEYS = {
	vendor: 'statsig, rudderstack, amplitude',
	type: 'track, identify, page, screen, group, alias, log_event, exposure',
	name: 'name of the event, gate, config…, or a part of it',
	user: 'user, anonymous or device id, or a part of it',
	is: 'accepted, duplicate, rejected, lost, retried, exposure',
	id: 'message id, or its beginning',
	attempt: '2, >1',
	size: '>1k',
	after: '14:02, 14:02:30 or 2026-11-30T14:02',
	before: '14:02, 14:02:30 or 2026-11-30T14:02',
	request: 'number of the request',
	client: 'name of the client, or a part of it',
	run: 'id of a test run',
	prop: 'sku=teapot: a property in the payload',
}
const STATES = ['accepted', 'duplicate', 'rejected', 'lost', 'retried', 'exposure']
const VENDORS = ['statsig', 'rudderstack', 'amplitude']
const TOKEN = /(-?)(?:([a-z]+):(?:"([^"]*)"?|(\S*))|"([^"]*)"?|(\S+))/gi
const AMOUNT = /^([<>]?=?)(\d{1,15}(?:\.\d{1,15})?)([km]?)$/i

/** Split a query into tokens, each with its place in the text, its `error` and its `test` of an arrival. */
export function parse(text) {
	return [...text.matchAll(TOKEN)].map((m) => {
		const key = m[2] ? m[2].toLowerCase() : null
		const value = m[3] ?? m[4] ?? m[5] ?? m[6]
		const token = { from: m.index, to: m.index + m[0].length, text: m[0], not: m[1] === '-', key, value, values: m[3] === undefined ? value.split(',') : [value] }
		token.error = mistake(token)
		token.test = token.error ? () => true : tester(token)
		return token
	})
}
function mistake({ key, value, values }) {
	if (key === null) return ''
	if (!(key in KEYS)) return `There is no “${key}:”${suggestion(key)}`
	if (value === '') return `${key}: expects ${KEYS[key]}`
	if (key === 'is') return unknown('is', values, STATES, (v) => STATES.includes(v))
	if (key === 'vendor') return unknown('vendor', values, VENDORS, (v) => VENDORS.some((x) => x.startsWith(v)))
	if (key === 'after' || key === 'before') return Number.isNaN(moment(value)) ? `${key}: expects a time like 14:02` : ''
	if (key === 'request') return /^\d{1,15}$/.test(value) ? '' : `request: expects ${KEYS.request}`
	if (key === 'attempt' || key === 'size') return AMOUNT.test(value) ? '' : `${key}: expects ${KEYS[key]}`
	return ''
}
function unknown(key, values, all, isKnown) {
	const wrong = values.find((v) => !isKnown(v.toLowerCase()))
	return wrong === undefined ? '' : `${key}: is one of ${all.join(', ')}, not “${wrong}”`
}
function suggestion(word) {
	const known = Object.keys(KEYS)
	const [best] = known.map((k) => [distance(word, k), k]).sort((a, b) => a[0] - b[0])
	return best[0] <= 2 ? `. Did you mean “${best[1]}:”?` : `. Keys: ${known.join(', ')}`
}
function distance(a, b) {
	let row = [...Array(b.length + 1).keys()]
	for (let i = 1; i <= a.length; i++) {
		const next = [i]
		for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
		row = next
	}
	return row[b.length]
}
function moment(text) {
	const m = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text)
	// A date without a time is local, as on the server; for `Date.parse` it is UTC.
	if (!m) return /^\d{4}-/.test(text) ? Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text) : NaN
	if (+m[1] > 23 || +m[2] > 59 || +(m[3] || 0) > 59) return NaN
	const d = new Date()
	d.setHours(+m[1], +m[2], +(m[3] || 0), 0)
	return d.getTime()
}
function comparison(text) {
	const [, sign, digits, unit] = AMOUNT.exec(text)
	const n = +digits * ({ k: 1e3, m: 1e6 }[unit.toLowerCase()] || 1)
	return { '>': (x) => x > n, '<': (x) => x < n, '>=': (x) => x >= n, '<=': (x) => x <= n }[sign] || ((x) => x === n)
}
const IS = {
	retried: (a) => a.attempt > 1,
	exposure: (a) => a.exposure,
}
function tester(token) {
	const { key, value } = token, low = value.toLowerCase(), any = token.values.map((v) => v.toLowerCase())
	const contains = (text) => any.some((v) => (text || '').toLowerCase().includes(v))
	switch (key) {
		case 'vendor': return (a) => any.some((v) => a.vendor.startsWith(v))
		case 'type': return (a) => any.some((v) => a.type.toLowerCase() === v || (v === 'exposure' && a.exposure))
		case 'name': return (a) => contains(a.name)
		case 'user': return (a) => contains(a.user)
		case 'client': return (a) => contains(a.client)
		case 'run': return (a) => a.run === value
		case 'id': return (a) => (a.id || '').startsWith(value)
		case 'request': return (a) => a.request === +value
		case 'attempt': { const test = comparison(value); return (a) => test(a.attempt) }
		case 'size': { const test = comparison(value); return (a) => test(a.size) }
		case 'after': { const t = moment(value); return (a) => a.at >= t }
		case 'before': { const t = moment(value); return (a) => a.at < t }
		case 'is': return (a) => any.some((v) => (IS[v] ? IS[v](a) : a.verdict === v))
		// The page has no payloads: the server says which events match (`Rows.setQuery`).
		case 'prop': return (a) => !token.found || token.found.has(a.seq)
		default: return (a) => `${a.name} ${a.user} ${a.type} ${a.reason} ${a.id}`.toLowerCase().includes(low)
	}
}
export const matches = (tokens, a) => tokens.every((t) => t.error || t.test(a) !== t.not)
export const quote = (v) => (/[\s",]/.test(v) ? `"${v.replaceAll('"', '')}"` : v)
const without = (text, token) => (text.slice(0, token.from) + text.slice(token.to)).replace(/\s+/g, ' ').trim()
export { without }

/** Add a token to a query, or remove it if it is there; the other tokens stay as they were typed. */
export function flip(text, key, value) {
	const token = `${key}:${quote(value)}`
	const there = parse(text).find((t) => t.text === token)
	return there ? without(text, there) : `${text.trim()} ${token}`.trim()
}

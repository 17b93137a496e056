// Arrivals become rows: one per arrival, or one per event of the app, whose arrivals share an id.
//
// `rows` are all rows, oldest first; `shown` those that the query lists. Rows are filtered as they come, so a frame never
// looks at more than what is new; a new query looks at the newest first, in slices of 5 ms. At most `most` arrivals are
// kept; `gone` counts the listed rows that were forgotten, so that a position in `shown` can be kept across it.
import { matches, parse } from './search.js'

const SLICE_MS = 5, BETWEEN_MS = 6

export class Rows {
	constructor(most) {
		this.most = most
		this.grouped = true
		this.only = true
		this.tokens = []
		this.clear()
	}
	clear() {
		this.all = []
		this.rebuild()
	}
	/** Build the rows again, in slices: after a change of what a row is. */
	rebuild() {
		this.rows = []
		this.shown = []
		this.byId = new Map()
		this.gone = 0
		this.bad = 0
		this.job = null
		this.totals = { vendor: {}, verdict: {} }
		for (const arrival of this.all) this.place(arrival)
	}
	setQuery(text) {
		this.query = text
		this.tokens = parse(text)
		this.refilter()
	}
	refilter() {
		this.gone = 0
		this.shown = []
		this.bad = 0
		this.job = { at: this.rows.length - 1, busy: true, isLater: false }
		this.slice(this.job, SLICE_MS)
	}
	slice(job, budget) {
		if (job !== this.job || !job.busy) return
		const found = [], until = performance.now() + budget
		for (; job.at >= 0 && (job.at & 15 || performance.now() < until); job.at--) {
			const row = this.rows[job.at]
			row.hit = this.test(row)
			row.listed = row.hit || !this.only
			if (row.listed) { found.push(row); this.bad += isBad(row) }
		}
		if (found.length) {
			found.reverse()
			this.shown = this.shown.length ? found.concat(this.shown) : found
			if (job.isLater) this.gone -= found.length
		}
		job.isLater = true
		job.busy = job.at >= 0
		if (job.busy) setTimeout(() => { this.slice(job, SLICE_MS); this.onslice?.() }, BETWEEN_MS)
	}
	get isBusy() { return !!this.job?.busy }
	test(row) { return row.arrivals.some((a) => matches(this.tokens, a)) }
	add(arrival) {
		this.all.push(arrival)
		this.place(arrival)
		// A tenth more than the bound, so that forgetting is rare.
		if (this.all.length > this.most * 1.1) this.forget(this.all.length - this.most)
	}
	place(a) {
		const { vendor, verdict } = this.totals
		vendor[a.vendor] = (vendor[a.vendor] || 0) + 1
		verdict[a.verdict] = (verdict[a.verdict] || 0) + 1
		const known = this.grouped && a.id ? this.byId.get(a.id) : undefined
		if (known) { this.join(known, a); return }
		const row = { key: a.order, at: a.at, type: a.type, name: a.name, user: a.user, exposure: a.exposure, sees: a.sees, size: 0, attempt: 1, trouble: '', by: {}, arrivals: [a] }
		// What a client rejected before sending has no arrival: its receipt says so.
		if (this.grouped) reject(row, a.failures)
		sum(row, a)
		this.rows.push(row)
		if (this.grouped && a.id) this.byId.set(a.id, row)
		row.hit = this.test(row)
		row.listed = row.hit || !this.only
		if (row.listed) { this.shown.push(row); this.bad += isBad(row) }
	}
	join(row, a) {
		const was = isBad(row)
		row.arrivals.push(a)
		// Statsig calls every event an event: the others know the verb, and the page's own name.
		if (row.type === 'event' && a.type !== 'event') Object.assign(row, { type: a.type, name: a.name || row.name })
		sum(row, a)
		if (row.listed) this.bad += isBad(row) - was
		else if (this.test(row)) {
			row.hit = row.listed = true
			this.shown.push(row)
			this.bad += isBad(row)
		}
	}
	/** A receipt that came after its event: what the client called it, and the vendors it never reached. */
	receipt({ id, type, name, failures }) {
		const row = this.byId.get(id)
		if (!row) return
		const was = isBad(row)
		if (type) row.type = type
		if (name) row.name = name
		reject(row, failures)
		row.trouble = trouble(row)
		row.version = (row.version || 0) + 1
		if (row.listed) this.bad += isBad(row) - was
	}
	forget(n) {
		if (this.job?.busy) this.slice(this.job, Infinity)
		const cut = this.all.splice(0, n).at(-1).order
		for (const row of this.rows) {
			if (row.key > cut) break
			if (row.listed) this.bad -= isBad(row)
			if (row.arrivals[0].id) this.byId.delete(row.arrivals[0].id)
		}
		drop(this.rows, cut)
		this.gone += drop(this.shown, cut)
	}
}

function drop(list, cut) {
	let i = 0
	while (i < list.length && list[i].key <= cut) i++
	list.splice(0, i)
	return i
}
const isBad = (row) => +(row.trouble === 'rejected' || row.trouble === 'lost')
function trouble(row) {
	const states = Object.values(row.by)
	if (states.some((s) => s.verdict === 'rejected')) return 'rejected'
	if (states.some((s) => s.verdict === 'lost')) return 'lost'
	return row.attempt > 1 ? 'retried' : ''
}
function reject(row, failures) {
	for (const [vendor, status, reason] of failures || []) {
		if (status === 'rejected' && !row.by[vendor]) row.by[vendor] = { verdict: 'rejected', attempt: 1, reason, local: true }
	}
}
function sum(row, a) {
	// An event that was refused because of another one in its batch has no fault, and comes again.
	const at = row.by[a.vendor], seen = a.verdict === 'rejected' && a.blamed === false ? 'lost' : a.verdict
	const verdict = at && a.verdict === 'duplicate' && at.verdict === 'accepted' ? 'accepted' : seen
	row.by[a.vendor] = { verdict, attempt: Math.max(a.attempt, at?.attempt || 0), reason: a.reason, last: a, local: a.local }
	row.size = Math.max(row.size, a.size)
	row.attempt = Math.max(row.attempt, a.attempt)
	row.trouble = trouble(row)
}

// Live: one timeline of what the vendors received.
//
// At its top the list follows. Scrolling, selecting or `p` holds it, which only freezes where it ends (`head`): nothing
// moves under the reader, and the stream stays open. The text of the query is the only state of the filter.
import { api } from './api.js'
import { firstSteps, noMatch } from './empty.js'
import { Grid, setText } from './grid.js'
import { Tally, chart } from './rate.js'
import { Rows } from './rows.js'
import { flip, parse } from './search.js'
import { searchBox } from './searchbox.js'
import { panel } from './story.js'
import { VENDORS, count, fill, h, key, mark, plural, say, segmented, sign, toast } from './ui.js'

const DRAW_MS = 90, FLOOD_DRAW_MS = 330, FLOOD_ROWS = 30

// The rows outlive the view, so that coming back shows the list at once.
const rows = new Rows(50_000)
const tally = new Tally()
let view = null
const redraw = () => { if (view) view.dirty = true }
api.subscribe({
	event(arrival) { rows.add(arrival); tally.add(arrival); redraw() },
	receipt(receipt) { rows.receipt(receipt); redraw() },
	forgotten() { rows.clear(); tally.clear(); view?.forgotten() },
})
rows.onslice = redraw

export function live(root, { params, setParams, href }) {
	const state = { paused: false, head: null, selected: null, open: false }
	rows.most = api.keeps
	rows.grouped = params.get('by') !== 'arrival'
	rows.only = params.get('show') !== 'highlight'
	rows.rebuild()

	const search = searchBox({ value: params.get('q') || '', placeholder: 'vendor:amplitude is:rejected user:ada …', onchange: apply, values: valuesOf })
	const pause = h('button', { class: 'pause', onclick: () => hold(!state.paused) })
	const failed = h('span', {}, 'No failure')
	const first = h('button', { class: 'first', onclick: firstFailure, title: 'Jump to the first failure (f), the next one (n)' }, h('i', { class: 'sign t-bad', 'aria-hidden': 'true' }, '✕'), failed, key('f'))
	const show = segmented('What the search does', [['filter', 'Filter'], ['highlight', 'Highlight']], rows.only ? 'filter' : 'highlight', (v) => { rows.only = v === 'filter'; rows.refilter(); mirror(); refresh() })
	const by = segmented('What a row is', [['event', 'Events', 'A row per event of your app, with all vendors (g)'], ['arrival', 'Arrivals', 'A row per event, vendor and attempt (g)']], rows.grouped ? 'event' : 'arrival', setBy)
	const facets = h('div', { class: 'facets', role: 'group', 'aria-label': 'Quick filters' })
	const rate = chart(tally)
	const grid = new Grid(rows, state, (row) => { select(row); open() })
	const fresh = h('button', { class: 'fresh', hidden: true, onclick: follow })
	const empty = h('div', { class: 'empty', hidden: true })
	const side = h('aside', { class: 'panel', hidden: true, 'aria-label': 'The event’s story' })
	root.append(h('section', { class: 'view live', 'aria-label': 'Live' },
		h('h1', { class: 'sr' }, 'Live events'),
		h('div', { class: 'tools' }, search.box, h('div', { class: 'tools-end' }, show, by, pause, first)),
		h('div', { class: 'under' }, facets, rate.el),
		h('div', { class: 'split' }, h('div', { class: 'stage' }, grid.el, fresh, empty), side)))

	// --- drawing ------------------------------------------------------------------------------------------------------
	let drawn = 0, drawnRows = 0, ticked = 0
	function frame(now) {
		if (!root.isConnected || view !== handle) return
		// During a flood every row is new each time and cannot be read: three times a second is enough.
		const wait = rows.rows.length - drawnRows > FLOOD_ROWS ? FLOOD_DRAW_MS : DRAW_MS
		if (handle.dirty && now - drawn > wait) {
			drawn = now
			drawnRows = rows.rows.length
			handle.dirty = false
			list()
			notes()
			drawFacets()
		} else if (now - ticked > 1000) {
			ticked = now
			list()
			rate.draw()
			drawFacets()
			askForPayloads()
		}
		requestAnimationFrame(frame)
	}
	function list() {
		grid.draw()
		drawEmpty(grid.length)
	}
	const waiting = () => rows.shown.length - grid.length
	function notes() {
		const n = waiting(), label = state.paused ? `Paused${n ? `, ${count(n)} waiting` : ''}` : 'Pause'
		if (pause.label !== label) {
			pause.label = label
			pause.classList.toggle('on', state.paused)
			pause.setAttribute('aria-pressed', String(state.paused))
			fill(pause, h('i', { class: state.paused ? 'ico play' : 'ico pauseico', 'aria-hidden': 'true' }), h('span', {}, label), key('p'))
		}
		setText(failed, rows.bad ? plural(rows.bad, 'failure') : 'No failure')
		first.disabled = !rows.bad
		const isWaiting = state.head != null && n > 0 && !state.paused
		fresh.hidden = !isWaiting
		if (isWaiting && fresh.n !== n) { fresh.n = n; fill(fresh, `↑ ${plural(n, 'new event')}`, key('Home')) }
	}
	const chips = []
	function chip(k, v, label, lead) {
		const n = h('b'), el = h('button', { class: 'chip', onclick: () => search.set(flip(search.value, k, v)) }, lead, h('span', {}, label), n)
		chips.push({ el, n, k, v })
		return el
	}
	fill(facets,
		Object.entries(VENDORS).map(([v, { name }]) => chip('vendor', v, name, mark(v, { label: false }))),
		h('i', { class: 'rule', 'aria-hidden': 'true' }),
		[['accepted', 'accepted'], ['rejected', 'rejected'], ['lost', 'lost'], ['duplicate', 'copies']].map(([v, label]) => chip('is', v, label, sign(v))))
	function drawFacets() {
		const tokens = parse(search.value)
		for (const { el, n, k, v } of chips) {
			const many = rows.totals[k === 'is' ? 'verdict' : 'vendor'][v] || 0
			setText(n, count(many))
			el.classList.toggle('zero', !many)
			el.setAttribute('aria-pressed', String(tokens.some((t) => t.key === k && !t.not && t.value === v)))
		}
	}
	function drawEmpty(n) {
		const kind = n || !api.isCaughtUp || rows.isBusy ? '' : rows.all.length ? 'none' : 'first', drawing = kind && kind + search.value + api.clients().length
		if (empty.drawing === drawing) return
		empty.drawing = drawing
		empty.hidden = !kind
		grid.el.classList.toggle('is-empty', !!kind)
		if (kind === 'first') fill(empty, firstSteps())
		if (kind === 'none') noMatch(empty, rows, search.value, search.set)
	}

	// --- following and holding ----------------------------------------------------------------------------------------
	const end = () => rows.shown.length + rows.gone
	function stay() { if (state.head == null) state.head = end() }
	function hold(on) {
		state.paused = on
		if (on) state.head = end()
		else if (!state.open) { state.head = null; grid.el.scrollTop = 0 }
		say(on ? 'Paused' : 'Following')
		refresh()
	}
	function follow() {
		Object.assign(state, { paused: false, head: null })
		grid.el.scrollTop = 0
		refresh()
	}
	function refresh() {
		handle.dirty = false
		list()
		notes()
		drawFacets()
	}

	// --- selecting ----------------------------------------------------------------------------------------------------
	function select(row, centre = false) {
		if (!row) return
		stay()
		state.selected = row
		grid.reveal(row, centre)
		list()
		notes()
		if (state.open) panelSoon()
	}
	// The list moves at once; the panel follows in a frame of its own.
	let soon
	function panelSoon() {
		clearTimeout(soon)
		soon = setTimeout(() => { if (state.open && view === handle) openPanel() }, 30)
	}
	function move(by) {
		const n = grid.length
		if (!n) return
		const i = state.selected ? grid.indexOf(state.selected) : -1
		select(grid.at(Math.min(n - 1, Math.max(0, i + by))))
	}
	function open() {
		if (!state.selected) return
		state.open = true
		openPanel()
		list()
		mirror()
	}
	async function openPanel() {
		const row = state.selected
		side.hidden = false
		root.firstChild.classList.add('with-panel')
		mirror()
		await panel(side, row, { close, step: move, user: (u) => search.set(flip(search.value, 'user', u)), near: around(row), go: (r) => { select(r); open() }, href })
		list()
	}
	/** The events around a row, and of every name the latest exposure before it: what the user was being shown. */
	function around(row) {
		if (!row.user) return []
		const all = rows.rows, i = all.lastIndexOf(row), oldest = Math.max(0, i - 5000), mine = [], names = new Set()
		for (let k = i, n = 0; k >= oldest && (n < 5 || names.size < 6); k--) {
			const r = all[k]
			if (r.user !== row.user) continue
			if (!r.exposure) { if (n++ < 5) mine.push(r); continue }
			const name = r.name + r.sees?.value
			if (r === row || (!names.has(name) && names.size <= 7)) { names.add(name); mine.push(r) }
		}
		for (let k = i + 1, n = 0; k < all.length && n < 3; k++) if (all[k].user === row.user) { mine.push(all[k]); n++ }
		return mine.sort((a, b) => a.at - b.at || a.key - b.key)
	}
	function close() {
		state.open = false
		side.hidden = true
		root.firstChild.classList.remove('with-panel')
		grid.el.focus({ preventScroll: true })
		list()
		mirror()
	}
	const isFailure = (row) => row.trouble === 'rejected' || row.trouble === 'lost'
	function firstFailure() {
		const row = rows.shown.find((r) => r.trouble === 'rejected') || rows.shown.find(isFailure)
		if (!row) { toast('No failure among the events shown'); return }
		select(row, true)
		open()
		grid.el.focus({ preventScroll: true })
	}
	function nextFailure(back) {
		const isHit = (row) => (!rows.only && rows.tokens.length ? row.hit : isFailure(row)), step = back ? -1 : 1
		let i = state.selected ? rows.shown.lastIndexOf(state.selected) : -1
		for (i += step; i >= 0 && i < rows.shown.length; i += step) if (isHit(rows.shown[i])) { select(rows.shown[i], true); return }
		toast(back ? 'No earlier one' : 'No later one')
	}

	// --- what a row is, and the query ---------------------------------------------------------------------------------
	function setBy(v) {
		rows.grouped = v === 'event'
		rows.rebuild()
		setQuery(search.value)
		state.selected = null
		state.head = state.paused ? end() : null
		if (state.open) close()
		mirror()
		refresh()
	}
	function apply(q) {
		setQuery(q)
		state.head = state.paused || state.open ? end() : null
		if (!state.open) grid.el.scrollTop = 0
		mirror()
		refresh()
	}
	let asked = 0
	function setQuery(q) {
		rows.setQuery(q)
		asked = -1
		askForPayloads()
	}
	/** Payloads are at the server only: let it find what `prop:` matches, also among the new events. */
	async function askForPayloads() {
		const tokens = rows.tokens.filter((t) => t.key === 'prop' && !t.error), last = rows.all.at(-1)?.seq || 0
		if (!tokens.length || asked === last) return
		asked = last
		try {
			for (const token of tokens) token.found = new Set(await api.find(token.text.replace(/^-/, '')))
		} catch { return }
		if (!tokens.every((t) => rows.tokens.includes(t))) return
		rows.refilter()
		if (!state.paused && !state.open) state.head = null
		handle.dirty = true
	}
	function mirror() {
		const id = state.open && state.selected ? state.selected.arrivals[0].id || `seq-${state.selected.arrivals[0].seq}` : ''
		setParams({ q: search.value, by: rows.grouped ? '' : 'arrival', show: rows.only ? '' : 'highlight', event: id })
	}
	function valuesOf(k) {
		const is = (test) => rows.all.filter(test).length
		if (k === 'is') return [...['accepted', 'duplicate', 'rejected', 'lost'].map((v) => [v, rows.totals.verdict[v] || 0]), ['retried', is((a) => a.attempt > 1)], ['exposure', is((a) => a.exposure)]]
		if (!['vendor', 'type', 'name', 'user', 'client', 'run'].includes(k)) return []
		const n = new Map()
		for (const a of rows.all.slice(-5000)) if (a[k]) n.set(a[k], (n.get(a[k]) || 0) + 1)
		return [...n].sort((a, b) => b[1] - a[1])
	}

	grid.el.addEventListener('scroll', () => {
		if (grid.el.scrollTop > grid.rowHeight / 2) stay()
		else if (!state.paused && !state.open && !state.selected) state.head = null
		handle.dirty = true
		drawn = 0
	})
	grid.el.addEventListener('keydown', (e) => { if (e.key === 'Enter') { e.preventDefault(); open() } })
	search.box.addEventListener('go', () => { grid.el.focus(); if (!state.selected) move(1) })
	const resized = () => { handle.dirty = true }
	addEventListener('resize', resized)

	const handle = {
		dirty: true,
		keys: {
			j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), PageDown: () => move(20), PageUp: () => move(-20),
			Home: () => { state.selected = null; if (state.open) close(); follow() },
			End: () => select(rows.shown[0]),
			Enter: open,
			Escape: () => {
				if (state.open) { close(); return }
				state.selected = null
				if (!state.paused && grid.el.scrollTop < 5) state.head = null
				refresh()
			},
			p: () => hold(!state.paused), f: firstFailure, n: () => nextFailure(false), N: () => nextFailure(true),
			g: () => by.querySelectorAll('input')[rows.grouped ? 1 : 0].click(),
			'/': () => { search.input.focus(); search.input.select() },
		},
		json: () => `/live.json${search.value ? `?q=${encodeURIComponent(search.value)}` : ''}`,
		changed: () => { handle.dirty = true },
		forgotten() { state.selected = null; state.head = null; if (state.open) close(); refresh() },
		leave: () => { clearTimeout(soon); removeEventListener('resize', resized) },
	}
	view = handle
	setQuery(search.value)
	refresh()
	rate.draw()
	requestAnimationFrame(frame)
	openWanted()
	/** Open the event that the address names; it may be still on its way. */
	function openWanted(tries = 20) {
		const wanted = params.get('event')
		if (!wanted || view !== handle) return
		const row = rows.rows.find((r) => r.arrivals.some((a) => a.id === wanted) || `seq-${r.arrivals[0].seq}` === wanted)
		if (row) { select(row, true); open() } else if (tries) setTimeout(() => openWanted(tries - 1), 100)
	}
	return handle
}

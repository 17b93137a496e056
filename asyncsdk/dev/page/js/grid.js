// The list of Live: virtual, a pool of rows that are moved and refilled. A row keeps its slot while it is visible, so
// that a new event mostly changes transforms. A cell is written only if its text differs from the one before.
import { VENDORS, ago, bytes, clock, h, iso } from './ui.js'
import { verdictOf } from './verdict.js'

const COLUMNS = [['when', 'Age'], ['abs', 'Time'], ['vend', 'Vendor'], ['type', 'Type'], ['name', 'Name'], ['user', 'User'], ['verd', 'Verdict'], ['att', 'Try'], ['size', 'Size']]
const HEIGHT = 28, NARROW_HEIGHT = 46
const ABOVE = 4, BELOW = 9

/** Write text into an element that was written only by this function. */
export function setText(el, text) {
	if (el.written === text) return
	el.written = text
	el.textContent = text
}

export class Grid {
	/**
	 * rows: the `Rows`. state: `{ selected, head }` of the view. onopen: called with a clicked row.
	 */
	constructor(rows, state, onopen) {
		this.rows = rows
		this.state = state
		this.onopen = onopen
		this.pool = []
		this.narrow = matchMedia('(max-width: 640px)')
		this.narrow.addEventListener('change', () => { for (const slot of this.pool) slot.stamp = '' })
		this.space = h('div', { role: 'rowgroup', class: 'space' })
		const titles = COLUMNS.map(([c, t]) => h('div', { role: 'columnheader', class: `c ${c}` }, t))
		this.head = h('div', { role: 'rowgroup', class: 'head' }, h('div', { role: 'row', class: 'r', 'aria-rowindex': '1' }, titles))
		this.el = h('div', { role: 'grid', class: 'grid', tabIndex: 0, 'aria-label': 'Events, newest first', 'aria-colcount': '9' }, this.head, this.space)
	}
	get rowHeight() { return this.narrow.matches ? NARROW_HEIGHT : HEIGHT }
	/** Number of listed rows: all, or those up to where the list is held. */
	get length() {
		const { shown, gone } = this.rows, { head } = this.state
		return head == null ? shown.length : Math.min(shown.length, Math.max(0, head - gone))
	}
	/** Place of a row from the top; -1 if it is not listed. */
	indexOf(row) {
		const i = this.rows.shown.lastIndexOf(row)
		return i < 0 ? -1 : this.length - 1 - i
	}
	at(index) { return this.rows.shown[this.length - 1 - index] }

	draw() {
		const { el, pool, rows } = this, n = this.length, height = this.rowHeight, now = Date.now()
		const from = Math.max(0, Math.floor(el.scrollTop / height) - ABOVE)
		const to = Math.min(n, from + Math.ceil(el.clientHeight / height) + BELOW)
		const total = `${n * height}px`
		if (this.space.style.height !== total) this.space.style.height = total
		if (this.count !== n) { this.count = n; el.setAttribute('aria-rowcount', n + 1) }
		while (pool.length < to - from) {
			const slot = this.makeSlot()
			pool.push(slot)
			this.space.append(slot.el)
		}
		for (const slot of pool) slot.used = false
		for (let i = from; i < to; i++) {
			const k = n - 1 - i, slot = pool[(k + rows.gone) % pool.length]
			slot.used = true
			if (slot.el.hidden) slot.el.hidden = false
			this.put(slot, rows.shown[k], i, i * height, now)
		}
		for (const slot of pool) if (!slot.used && !slot.el.hidden) slot.el.hidden = true
		this.activate()
	}
	activate() {
		const { selected } = this.state
		const isThere = selected && this.pool.some((slot) => slot.used && slot.el.row === selected)
		const active = isThere ? `row-${selected.key}` : ''
		if (this.active !== active) { this.active = active; this.el.setAttribute('aria-activedescendant', active) }
	}
	makeSlot() {
		const el = h('div', { role: 'row', class: 'r' }), c = {}
		for (const [name] of COLUMNS) el.append(c[name] = h('div', { role: 'gridcell', class: `c ${name}` }))
		c.marks = {}
		for (const [vendor, { letter }] of Object.entries(VENDORS)) c.vend.append(c.marks[vendor] = h('span', { class: `vm vm-${vendor}`, 'aria-hidden': 'true' }, letter))
		c.vend.append(c.vendText = h('span', { class: 'sr' }))
		c.name.append(c.nameText = h('span', { class: 'nm' }), c.sees = h('span', { class: 'sees' }))
		c.verd.append(c.sign = h('i', { 'aria-hidden': 'true' }), c.verdText = h('span'))
		el.addEventListener('click', () => this.onopen(el.row))
		return { el, c, used: false }
	}
	put(slot, row, index, top, now) {
		const { el, c } = slot, { rows } = this, isSelected = this.state.selected === row
		el.row = row
		if (slot.top !== top) { slot.top = top; el.style.transform = `translateY(${top}px)` }
		if (slot.index !== index) { slot.index = index; el.setAttribute('aria-rowindex', index + 2) }
		setText(c.when, ago(row.at, now))
		const stamp = `${row.key}/${row.arrivals.length}/${row.version || 0}/${row.hit}/${isSelected}/${rows.only}/${rows.tokens.length > 0}`
		if (slot.stamp === stamp) return
		slot.stamp = stamp
		el.id = `row-${row.key}`
		el.setAttribute('aria-selected', String(isSelected))
		const highlight = !rows.only && rows.tokens.length ? (row.hit ? ' hit' : ' miss') : ''
		el.className = `r${row.trouble ? ` x-${row.trouble}` : ''}${row.exposure ? ' exposure' : ''}${isSelected ? ' sel' : ''}${highlight}`
		setText(c.abs, clock(row.at))
		c.abs.title = iso(row.at)
		setText(c.type, row.type)
		setText(c.user, row.user || '–')
		setText(c.nameText, row.name)
		setText(c.sees, row.sees ? String(row.sees.value) : '')
		c.sees.className = `sees${row.sees ? ` v-${row.sees.value}` : ''}`
		setText(c.att, String(row.attempt))
		c.att.classList.toggle('dim', row.attempt === 1)
		setText(c.size, bytes(row.size))
		this.putVerdict(c, row)
	}
	putVerdict(c, row) {
		const said = []
		for (const vendor in c.marks) {
			const s = row.by[vendor]
			const state = s && s.verdict !== 'accepted' ? ` x-${s.verdict}` : s && s.attempt > 1 ? ' x-retried' : ''
			c.marks[vendor].className = `vm vm-${vendor}${s ? '' : ' none'}${row.exposure ? ' hollow' : ''}${state}`
			if (s) said.push(`${VENDORS[vendor].name}: ${s.verdict}`)
		}
		setText(c.vendText, said.join(', '))
		const [tone, sign, words] = verdictOf(row, this.rows.grouped)
		c.sign.className = `sign t-${tone}`
		setText(c.sign, sign)
		setText(c.verdText, words)
		c.verd.title = words
		c.verd.className = `c verd t-${tone}`
	}
	/** Scroll a row into view; to 40 % of the height if `centre`. */
	reveal(row, centre) {
		const y = this.indexOf(row) * this.rowHeight, view = this.el.clientHeight - this.head.offsetHeight
		if (centre) this.el.scrollTop = Math.max(0, y - view * 0.4)
		else if (y < this.el.scrollTop) this.el.scrollTop = y
		else if (y + this.rowHeight > this.el.scrollTop + view) this.el.scrollTop = y + this.rowHeight - view
	}
}

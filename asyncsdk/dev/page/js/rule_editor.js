// The JSON of one name, with mistakes at their place, who would see a change, and the diff to the file.
//
// A mistake of JSON itself is found here while typing; what the JSON means is checked by the server (a dry run), so that
// the page and the API refuse the same.
import { api } from './api.js'
import { drawDiff } from './diff.js'
import { JsonError, lineOf, parseAt, write } from './json.js'
import { attempt, dim, fill, h, key, segmented, toast } from './ui.js'

const LINE = 18, CHECK_MS = 200

/** `side`: the element to draw into. Returns `open(name)`, `close()` and `changed()`, for new rules at the server. */
export function editor(side, { close, href, tabs, setTab }) {
	let name = '', before = '', served = null, good = null, due, turn = 0
	const area = h('textarea', { class: 'code', id: 'rule', spellcheck: false, wrap: 'off', 'aria-describedby': 'ed-error', oninput: check, onkeydown })
	const gutter = h('div', { class: 'gutter', 'aria-hidden': 'true' }), flag = h('p', { id: 'ed-error', class: 'flag', hidden: true, role: 'alert' })
	const wrap = h('div', { class: 'edit' }, gutter, h('div', { class: 'edit-in' }, area, flag))
	const differ = h('div', { class: 'diff scroll', tabIndex: 0, role: 'region', 'aria-label': 'Diff to the file' })
	const effect = h('div', { class: 'effect', role: 'status' })
	const apply = h('button', { class: 'primary', onclick: put }, 'Apply ', key('Ctrl ↵')), undo = h('button', { onclick: () => { area.value = before; check() } }, 'Undo')

	async function open(wanted) {
		name = wanted
		const mine = ++turn
		side.hidden = false
		const rule = await attempt(() => api.rule(name))
		if (mine !== turn) return
		if (!rule) { close(); return }
		served = rule
		before = area.value = write(rule.spec)
		area.setAttribute('aria-label', `Rules of ${name} as JSON`)
		const view = segmented('View', [['edit', 'Edit'], ['diff', 'Diff to file']], tabs(), (v) => { setTab(v); show() })
		fill(side,
			h('header', { class: 'p-head' },
				h('div', { class: 'p-top' }, h('span', { class: 'p-type' }, rule.kind), h('button', { class: 'icon', 'aria-label': 'Close', title: 'Close (Esc)', onclick: close }, '✕')),
				h('h2', {}, name), h('p', { class: 'p-meta' }, view, h('a', { href: href('who', { open: name }) }, 'Who sees what'))),
			wrap, differ, h('footer', { class: 'p-foot' }, effect, h('div', { class: 'acts' }, undo, apply)))
		check()
		show()
	}
	function show() {
		wrap.hidden = tabs() !== 'edit'
		differ.hidden = !wrap.hidden
		if (!differ.hidden) fill(differ, drawDiff(served.file ? write(served.file) : '', area.value) || h('p', { class: 'pad dim' }, 'The same as in the file.'))
	}
	function check() {
		const text = area.value, isSame = text === before
		area.style.height = `${text.split('\n').length * LINE + 24}px`
		clearTimeout(due)
		good = null
		undo.disabled = isSame
		apply.disabled = true
		let parsed
		try { parsed = parseAt(text) } catch (e) {
			if (!(e instanceof JsonError)) throw e
			complain({ ...lineOf(text, e.at), text: e.message })
			return
		}
		complain(null)
		if (isSame) { fill(effect, dim('As it is served now.')); return }
		fill(effect, dim('Checking…'))
		const mine = ++turn
		due = setTimeout(() => dryRun(parsed, text, mine), CHECK_MS)
	}
	async function dryRun({ value, places }, text, mine) {
		try {
			const { changes, users } = await api.dryRun(name, value)
			if (mine !== turn) return
			good = value
			apply.disabled = false
			fill(effect, whoChanges(changes, users))
		} catch (error) {
			if (mine !== turn) return
			const first = error.errors?.[0]
			if (!first) { fill(effect, h('span', { class: 't-bad' }, error.message)); return }
			const at = places[first.path] ?? places[parent(first.path)] ?? 0
			complain({ ...lineOf(text, at), text: first.text || first.message || error.message })
		}
	}
	function complain(mistake) {
		const lines = area.value.split('\n').length
		fill(gutter, Array.from({ length: lines }, (_, i) => h('i', { class: mistake?.line === i + 1 ? 'bad' : '' }, i + 1)))
		area.setAttribute('aria-invalid', String(!!mistake))
		flag.hidden = !mistake
		if (!mistake) return
		flag.style.top = `${mistake.line * LINE + 12}px`
		fill(flag, h('b', {}, `Line ${mistake.line}, column ${mistake.column}. `), mistake.text)
		fill(effect, h('span', { class: 't-bad' }, 'Not applied: the rules in use stay as they are.'))
	}
	async function put() {
		if (!good) return
		const text = area.value
		const done = await attempt(() => api.putRule(name, good))
		if (!done) return
		before = text
		toast(`${name} is in use; connected clients have it within a second`)
		check()
	}
	function onkeydown(e) {
		if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); put() }
		if (e.key === 'Escape') { e.stopPropagation(); e.target.blur() }
	}
	return {
		open,
		close() { turn++; clearTimeout(due); name = ''; side.hidden = true },
		/** The rules at the server changed: show them, unless there is an edit here that would be lost. */
		async changed() {
			if (!name || area.value !== before) { if (name) served = await api.rule(name).catch(() => served); return }
			open(name)
		},
	}
}
function parent(path) { return path?.includes('.') ? path.slice(0, path.lastIndexOf('.')) : '' }
function whoChanges(changes, users) {
	if (!changes?.length) return h('span', {}, users ? `Valid. None of the ${users} named users would see a change.` : 'Valid.')
	return [h('b', {}, `${changes.length} of ${users} named users would change: `), changes.slice(0, 4).map((c, i) => [i ? ', ' : '', c.user, ' ', dim(`${word(c.old)} → ${word(c.new)}`)]), changes.length > 4 ? ' …' : '']
}
const word = (v) => (v === true ? 'open' : v === false ? 'closed' : typeof v === 'string' ? v : JSON.stringify(v))

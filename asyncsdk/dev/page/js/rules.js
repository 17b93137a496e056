// Rules: on, off and the percentage in place; what differs from the file; names that are unknown or unused.
import { api } from './api.js'
import { shareBar } from './parts.js'
import { editor } from './rule_editor.js'
import { KINDS, attempt, count, dim, h, plural, refill, segmented, since, toggle } from './ui.js'

const baseName = (path) => (path || '').split(/[\\/]/).at(-1)
const APPLIED = 'connected clients have it within a second'

export function rules(root, { params, setParams, href }) {
	const state = { name: params.get('name') || '', tab: params.get('tab') || 'edit', show: params.get('show') || 'all', find: '' }
	const list = h('div', { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'All names' })
	const side = h('aside', { class: 'panel editor', 'aria-label': 'The rules of one name', hidden: true })
	const find = h('input', { type: 'search', id: 'find', class: 'find', placeholder: 'Find a name', 'aria-label': 'Find a name', oninput: (e) => { state.find = e.target.value.toLowerCase(); draw() } })
	const status = h('div', { class: 'tools-end' })
	const show = segmented('Names to show', [['all', 'All'], ['unused', 'Never asked', 'In the rules, but not asked for in this run'], ['edited', 'Edited', 'Different from the file']], state.show, (v) => { state.show = v; setParams({ show: v === 'all' ? '' : v }); draw() })
	const view = h('section', { class: 'view rules', 'aria-label': 'Rules' }, h('h1', { class: 'sr' }, 'Rules'),
		h('div', { class: 'tools' }, find, show, h('span', { class: 'grow' }), status), h('div', { class: 'split' }, list, side))
	root.append(view)

	// --- the list -----------------------------------------------------------------------------------------------------
	function draw() {
		const { names, unknown } = api.names(), file = baseName(api.health().ruleset), top = list.scrollTop
		drawStatus(names.filter((n) => n.differs).length, file)
		const shown = names.filter((n) => n.name.toLowerCase().includes(state.find) && { all: true, unused: isUnused(n), edited: n.differs }[state.show])
		const bodies = Object.entries(KINDS).map(([kind, title]) => {
			const mine = shown.filter((n) => n.kind === kind)
			return mine.length ? h('tbody', {}, h('tr', { class: 'kind' }, h('th', { colSpan: 5, scope: 'colgroup' }, title, h('span', {}, mine.length))), mine.map(nameRow)) : null
		})
		const head = [['Name'], ['On'], ['Percentage'], ['Rules', 'wide-only num'], ['Asked in this run', 'wide-only']].map(([t, c]) => h('th', { scope: 'col', class: c }, t))
		refill(list, unknown.length ? unknownNames(unknown) : null,
			shown.length ? h('table', { class: 'rl' }, h('thead', {}, h('tr', {}, head)), bodies) : nothing(names.length))
		list.scrollTop = top
	}
	function drawStatus(differing, file) {
		if (!differing) {
			refill(status, file ? dim(h('i', { class: 'dot up', 'aria-hidden': 'true' }), ' same as ', h('code', {}, file), ', watched') : dim('kept in memory; ', h('code', {}, '--ruleset FILE'), ' watches a file'))
			return
		}
		const note = h('span', { class: 'unsaved' }, h('i', { class: 'dot warn', 'aria-hidden': 'true' }), `${plural(differing, 'name')} differ${differing === 1 ? 's' : ''} from ${file || 'the start'}`)
		refill(status, note, h('button', { id: 'revert', onclick: () => attempt(() => api.revertRules(), `The rules are those of the ${file ? 'file' : 'start'} again`) }, `Back to the ${file ? 'file' : 'start'}`),
			file && h('button', { class: 'primary', id: 'write', onclick: () => attempt(() => api.writeRules(), `Written to ${file}`) }, 'Write to file'))
	}
	function nothing(known) {
		if (!known) return h('div', { class: 'empty' }, h('h2', {}, 'The ruleset has no names'), h('p', {}, 'A ruleset is a file in Statsig’s format. Start the server with ', h('code', {}, 'asyncsdk dev --ruleset ruleset.json'), ', or make the gates that your app asks for: they appear here.'))
		const text = { unused: 'Every name was asked for in this run, or is used by other rules.', edited: 'No name is edited.', all: `No name has “${state.find}” in it.` }[state.show]
		return h('div', { class: 'empty' }, h('h2', {}, 'No such name'), h('p', {}, state.find ? `No name has “${state.find}” in it.` : text))
	}
	function unknownNames(unknown) {
		return h('div', { class: 'notice', role: 'note' }, h('h2', {}, 'Asked for, but not in the rules'), h('ul', { class: 'plainlist' }, unknown.map((u) => h('li', {}, h('code', {}, u.name),
			dim(` asked ${plural(u.count, 'time')}${u.by ? ` by ${u.by}` : ''}, last ${since(u.last)}; your code’s fallback answered. A spelling mistake? `),
			h('button', { class: 'small', id: `make-${u.name}`, onclick: () => attempt(() => api.makeGate(u.name), `${u.name} is in the rules, closed for all users`) }, 'Make this gate')))))
	}
	const isUnused = (n) => !n.count && !n.inside
	function nameRow(n) {
		const onoff = toggle(`${n.name} is on`, n.enabled, (enabled) => attempt(() => api.patchRule(n.name, { enabled }), `${n.name} is ${enabled ? 'on' : 'off'}; ${APPLIED}`).then(draw), { id: `on-${n.name}` })
		const asked = n.count ? dim(`${count(n.count)}×, ${since(n.last)}`) : isUnused(n) ? h('span', { class: 'tag flush' }, 'never') : dim('by other rules')
		return h('tr', { class: state.name === n.name ? 'sel' : '' },
			h('th', { scope: 'row' }, h('button', { class: 'exp', id: `r-${n.name}`, onclick: () => open(n.name) }, n.name), n.differs && h('span', { class: 'tag warn' }, 'edited')),
			h('td', {}, n.kind === 'layer' || n.kind === 'parameter_store' ? dim('–') : onoff), h('td', { class: 'pctcell' }, share(n)),
			h('td', { class: 'wide-only dim num' }, n.rules || '–'), h('td', { class: 'wide-only' }, asked))
	}
	function share(n) {
		if (!n.enabled) return dim('off')
		if (n.groups?.length) return h('span', { class: 'shares' }, h('span', { class: 'bline', 'aria-hidden': 'true' }, shareBar(n.groups)), n.groups.map((p, i) => h('span', {}, h('i', { class: `swatch g${i % 4}` }), `${p.label} `, h('span', { class: 'dim num' }, `${Math.round((p.to - p.from) * 100)} %`))))
		if (!n.percentage) return dim(n.rules ? 'by conditions' : 'default')
		return percentage(n)
	}
	function percentage({ name, percentage: { rule, label, value } }) {
		const text = `Percentage of “${label || rule}” in ${name}`
		const set = (v) => attempt(() => api.patchRule(name, { percentage: { rule, value: Math.min(100, Math.max(0, +v || 0)) } })).then(draw)
		const number = h('input', { type: 'number', id: `pct-${name}`, min: 0, max: 100, step: 'any', value, 'aria-label': text, onchange: (e) => set(e.target.value) })
		const range = h('input', { type: 'range', min: 0, max: 100, step: 1, value, tabIndex: -1, 'aria-label': text, style: { '--at': `${value}%` },
			oninput: (e) => { number.value = e.target.value; range.style.setProperty('--at', `${e.target.value}%`) }, onchange: (e) => set(e.target.value) })
		return h('span', { class: 'pct' }, range, number, dim('%'), h('small', { class: 'wide-only' }, label || rule))
	}

	// --- the editor ---------------------------------------------------------------------------------------------------
	const edit = editor(side, { close, href, tabs: () => state.tab, setTab: (tab) => { state.tab = tab; setParams({ tab: tab === 'edit' ? '' : tab }) } })
	function open(name) {
		state.name = name
		setParams({ name, tab: state.tab === 'edit' ? '' : state.tab })
		view.classList.add('with-panel')
		edit.open(name)
		draw()
	}
	function close() {
		if (!state.name) return
		const name = state.name
		state.name = ''
		edit.close()
		view.classList.remove('with-panel')
		setParams({ name: '', tab: '' })
		draw()
		document.getElementById(`r-${name}`)?.focus()
	}
	function move(d) {
		const all = [...list.querySelectorAll('.exp')], i = all.indexOf(document.activeElement)
		all[Math.min(all.length - 1, Math.max(0, i < 0 ? 0 : i + d))]?.focus()
	}
	/** Whether a number is being typed, which drawing would undo. */
	function isEditing() {
		const at = document.activeElement
		return list.contains(at) && at.type === 'number' && at.value !== at.defaultValue
	}
	draw()
	if (state.name) { view.classList.add('with-panel'); edit.open(state.name) }
	return {
		changed(what) { if (what === 'names' || what === 'ruleset' || what === 'rules') { if (!isEditing()) draw(); edit.changed() } },
		json: () => (state.name ? `/rules.json?name=${encodeURIComponent(state.name)}` : '/rules.json'),
		leave: () => edit.close(),
		keys: { j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), '/': () => find.focus(), Escape: close },
	}
}

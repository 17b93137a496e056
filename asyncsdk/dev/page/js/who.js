// Who sees what: a user, every name with its value, why, and where the user's bucket lies; two users compared.
import { api } from './api.js'
import { histogram, line, placeText, shareBar, tree, value, valueWord } from './parts.js'
import { userCard } from './user_card.js'
import { $, KINDS, attempt, count, dim, fill, h, isNarrow, key, plural, refill, say, toast, toggle } from './ui.js'

const SAMPLE = 1000
// Users that were edited here and are in no file, by the user id they started from.
const edited = new Map()

export function who(root, { params, setParams, href }) {
	const state = {
		a: params.get('user') || Object.keys(api.users())[0] || 'ada', b: params.get('vs') || '', find: '', samples: null,
		open: new Set((params.get('open') || '').split(',').filter(Boolean)), onlyDiffering: params.has('diff'), results: null,
	}
	const userOf = (id) => edited.get(id) || api.users()[id] || { user_id: id }
	const left = h('div', { class: 'users' }), right = h('div', { class: 'decisions' })
	root.append(h('section', { class: 'view who', 'aria-label': 'Who sees what' }, h('h1', { class: 'sr' }, 'Who sees what'), left, right))
	const mirror = () => setParams({ user: state.a, vs: state.b, open: [...state.open].join(','), diff: state.onlyDiffering ? '1' : '' })

	// --- users --------------------------------------------------------------------------------------------------------
	function drawUsers() {
		refill(left, card('a'), state.b ? card('b') : h('button', { class: 'wide', onclick: compare }, 'Compare with another user ', key('c')), sampler())
	}
	function card(side) {
		const id = state[side], names = Object.keys(api.users()), note = h('p', { class: 'dim small-note' })
		const pick = h('select', { id: `${side}-pick`, onchange: (e) => { state[side] = e.target.value; mirror(); drawUsers(); evaluate() } },
			[...names, ...(names.includes(id) ? [] : [id])].map((n) => h('option', { value: n, selected: n === id }, n)))
		const head = h('header', {}, h('h2', {}, state.b ? h('span', { class: `ab ${side}`, 'aria-hidden': 'true' }, side.toUpperCase()) : null, h('label', { class: 'pick' }, h('span', { class: 'sr' }, `User ${side.toUpperCase()}`), pick)),
			side === 'b' ? h('button', { class: 'icon', 'aria-label': 'End the comparison', onclick: compare }, '✕') : null)
		const hint = () => fill(note, origin(side))
		hint()
		return userCard({ side, user: userOf(id), head, foot: note, onchange: (user) => { edited.set(user.user_id, user); state[side] = user.user_id; mirror(); hint(); soon() } })
	}
	function origin(side) {
		const id = state[side], file = api.health().users_file || 'users.json'
		if (!edited.has(id)) return id in api.users() ? `from ${file}` : 'a user of this page only'
		const keep = () => attempt(async () => {
			await api.putUser(id, edited.get(id))
			edited.delete(id)
			drawUsers()
		}, `${file} has ${id} now`)
		return ['Not saved. ', h('button', { class: 'link', onclick: keep }, `Keep it in ${file}`)]
	}
	function compare() {
		if (state.b) Object.assign(state, { b: '', onlyDiffering: false })
		else state.b = Object.keys(api.users()).find((n) => n !== state.a) || 'another-user'
		mirror()
		drawUsers()
		evaluate()
	}
	function sampler() {
		const label = state.samples ? 'Draw others' : isNarrow() ? 'Run 1,000 sample users' : 'Run them'
		return h('section', { class: 'sampler' }, h('h2', {}, `${count(SAMPLE)} sample users`),
			h('p', { class: 'dim' }, 'Random ids, with the other attributes of the named users in turn. Shows what share each group really has.'),
			h('button', { class: 'wide', id: 'sample', onclick: sample }, label))
	}
	async function sample() {
		const samples = await attempt(() => api.sample(SAMPLE))
		if (!samples) return
		state.samples = samples
		drawUsers()
		draw()
		say('1,000 sample users are shown')
		toast(`${plural(SAMPLE, 'sample user')}, ${plural(Object.keys(samples).length, 'name')}`)
	}

	// --- decisions ----------------------------------------------------------------------------------------------------
	const find = h('input', { type: 'search', class: 'find', placeholder: 'Find a name', 'aria-label': 'Find a name', oninput: (e) => { state.find = e.target.value.toLowerCase(); draw() } })
	const differs = h('span'), tools = h('div', { class: 'tools' }, find, differs, h('span', { class: 'legend' }))
	const body = h('div', { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'Decisions for the user' })
	right.append(tools, body)

	let turn = 0, due
	const soon = () => { clearTimeout(due); due = setTimeout(evaluate, 120) }
	async function evaluate() {
		const mine = ++turn, users = [state.a, state.b].filter(Boolean).map(userOf)
		try {
			const results = await api.evaluate(users)
			if (mine !== turn) return
			state.results = results
			draw()
		} catch (error) {
			if (mine === turn && error.status) fill(body, h('div', { class: 'empty' }, h('h2', {}, 'This user cannot be evaluated'), h('p', { class: 't-bad' }, error.message)))
		}
	}
	function decisions() {
		const [a, b] = state.results
		return Object.keys(a).map((name) => {
			const ra = a[name], rb = b?.[name]
			const kind = ra.kind === 'unknown' || /Unrecognized/.test(ra.reason) && ra.rule !== 'override' ? 'unknown' : ra.kind
			return { name, kind, ra, rb, isDifferent: !!rb && JSON.stringify(ra.value) !== JSON.stringify(rb.value) }
		})
	}
	function draw() {
		if (!state.results) return
		const all = decisions(), isComparing = state.results.length > 1, groups = new Map()
		for (const d of all) {
			if (state.find && !d.name.toLowerCase().includes(state.find)) continue
			if (state.onlyDiffering && isComparing && !d.isDifferent) continue
			if (!groups.has(d.kind)) groups.set(d.kind, [])
			groups.get(d.kind).push(d)
		}
		const different = all.filter((d) => d.isDifferent).length
		fill(differs, isComparing ? toggle(`Only the ${different} that differ`, state.onlyDiffering, (v) => { state.onlyDiffering = v; mirror(); draw() }, { text: true }) : null)
		fill($('.legend', tools), dim(h('i', { class: 'bmark a static' }), isComparing ? ' A ' : ' the user’s bucket ', isComparing ? [h('i', { class: 'bmark b static' }), ' B '] : '', h('i', { class: 'swatch pass' }), ' passes'))
		const top = body.scrollTop
		refill(body, groups.size ? table(groups, isComparing) : nothing(isComparing))
		body.scrollTop = top
	}
	function nothing(isComparing) {
		const same = state.onlyDiffering && isComparing
		if (!same && !state.find) return h('div', { class: 'empty' }, h('h2', {}, 'The ruleset has no names'), h('p', {}, 'Look at ', h('a', { href: '/rules' }, 'Rules'), ', or start the server with ', h('code', {}, '--ruleset FILE'), '.'))
		return h('div', { class: 'empty' }, h('h2', {}, same ? 'They see the same' : 'No such name'),
			h('p', {}, same ? `${state.a} and ${state.b} get the same values everywhere.` : `No gate, config, experiment or layer has “${state.find}” in its name.`),
			same && h('button', { onclick: () => { state.onlyDiffering = false; mirror(); draw() } }, 'Show all names'))
	}
	function table(groups, isComparing) {
		const head = [h('th', { scope: 'col' }, 'Name'), h('th', { scope: 'col' }, isComparing ? `A  ${state.a}` : 'Value'),
			isComparing ? h('th', { scope: 'col' }, `B  ${state.b}`) : h('th', { scope: 'col', class: 'by' }, 'Decided by'),
			h('th', { scope: 'col', class: 'bk' }, 'Bucket'), state.samples && h('th', { scope: 'col', class: 'sm' }, `Of ${count(SAMPLE)}`)]
		const order = [...Object.keys(KINDS), 'unknown'], columns = state.samples ? 5 : 4
		const bodies = [...groups].sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0])).map(([kind, list]) => h('tbody', {},
			h('tr', { class: 'kind' }, h('th', { colSpan: columns, scope: 'colgroup' }, KINDS[kind] || 'Asked for, but not in the rules', h('span', {}, list.length))),
			list.map((d) => decision(d, isComparing, columns))))
		return h('table', { class: `dec${isComparing ? ' two' : ''}${state.samples ? ' with-sm' : ''}` }, h('thead', {}, h('tr', {}, head)), bodies)
	}
	function decision({ name, kind, ra, rb, isDifferent }, isComparing, columns) {
		const isOpen = state.open.has(name), places = [{ ...ra, who: state.a, side: 'a' }, rb && { ...rb, who: state.b, side: 'b' }].filter(Boolean)
		const flip = () => {
			if (isOpen) state.open.delete(name)
			else state.open.add(name)
			mirror()
			draw()
		}
		const button = h('button', { class: 'exp', id: `d-${name}`, 'aria-expanded': String(isOpen), onclick: flip }, h('i', { class: 'chev', 'aria-hidden': 'true' }), name)
		const isOverridden = ra.rule === 'override' || rb?.rule === 'override'
		const cell = (r) => h('td', {}, value(r), rb && h('small', {}, decidedBy(r)))
		return [
			h('tr', { class: `${isDifferent ? 'differs' : ''}${isOpen ? ' is-open' : ''}` },
				h('th', { scope: 'row' }, button, isOverridden && h('span', { class: 'tag warn' }, 'override'), isDifferent && h('span', { class: 'sr' }, 'differs')),
				cell(ra), rb ? cell(rb) : h('td', { class: 'by' }, decidedBy(ra)),
				h('td', { class: 'bk' }, line(places), !rb && h('span', { class: 'bk-text num' }, placeText(ra))),
				state.samples && h('td', { class: 'sm' }, state.samples[name] ? mini(state.samples[name]) : '')),
			isOpen && h('tr', { class: 'why' }, h('td', { colSpan: columns }, reasons(name, kind, places, isComparing), actions(name, kind, ra))),
		]
	}
	function reasons(name, kind, places, isComparing) {
		return [
			h('div', { class: `whys${isComparing ? ' two' : ''}` }, places.map((r) => h('section', { 'aria-label': `Why ${name}, for ${r.who}` },
				h('h3', {}, isComparing && h('span', { class: `ab ${r.side}` }, r.side.toUpperCase()), r.who, ': ', h('b', {}, valueWord(r)), dim(` ${r.reason}`)),
				r.place && line([r], { wide: true }), tree(r.tree)))),
			state.samples?.[name] && h('section', { class: 'sampled' }, h('h3', {}, `${count(SAMPLE)} sample users`), histogram(Object.entries(state.samples[name]), SAMPLE)),
		]
	}
	function actions(name, kind, result) {
		if (kind === 'unknown') return h('p', { class: 'acts' }, h('button', { onclick: () => attempt(() => api.makeGate(name), `${name} is in the rules now, closed for all users`) }, 'Make this gate'))
		const override = api.overrides().find((o) => o.name === name && o.user === state.a)
		const flipIt = () => (override ? attempt(() => api.removeOverride(override)) : attempt(() => api.override({ kind, name, value: !result.value, user: state.a })))
		return h('p', { class: 'acts' },
			h('a', { class: 'button', href: href('rules', { name }) }, 'Edit the rules'), ' ',
			kind === 'gate' && h('button', { id: `o-${name}`, onclick: flipIt }, override ? 'Remove the override' : `Override: ${result.value ? 'closed' : 'open'} for ${state.a}`), ' ',
			h('a', { class: 'button', href: href('live', { q: `is:exposure name:${name}` }) }, 'Its exposures'))
	}
	function move(d) {
		const list = [...body.querySelectorAll('.exp')], i = list.indexOf(document.activeElement)
		list[Math.min(list.length - 1, Math.max(0, i < 0 ? 0 : i + d))]?.focus()
	}
	drawUsers()
	evaluate()
	if (params.has('sample')) sample()
	return {
		changed(what) { if (what !== 'faults' && what !== 'clients') evaluate(); if (what === 'users' && !left.contains(document.activeElement)) drawUsers() },
		json: () => `/who.json?user=${encodeURIComponent(state.a)}${state.b ? `&vs=${encodeURIComponent(state.b)}` : ''}`,
		leave: () => { turn++; clearTimeout(due) },
		keys: {
			j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), c: compare,
			d: () => { if (state.b) { state.onlyDiffering = !state.onlyDiffering; mirror(); draw() } },
			'/': () => find.focus(), Escape: () => { state.open.clear(); mirror(); draw() },
		},
	}
}

function decidedBy(r) {
	switch (r.rule) {
		case 'override': return 'an override'
		case 'default': return 'no rule matched'
		case 'disabled': return 'it is switched off'
		case '': return /Unrecognized/.test(r.reason) ? 'not in the rules' : r.reason
		default: return r.via ? `${r.via} › ${r.group || r.rule}` : r.label || r.rule
	}
}
/** The largest group of a sample, and all of them as a bar. */
function mini(groups) {
	const list = Object.entries(groups).sort((a, b) => b[1] - a[1]), isGate = 'open' in groups || 'closed' in groups
	const order = [...list].sort((a, b) => (b[0] === 'open') - (a[0] === 'open') || a[0].localeCompare(b[0]))
	let end = 0
	const parts = order.map(([k, n]) => ({ label: { open: 'pass', closed: 'fail' }[k] || k, from: end, to: (end += n / SAMPLE) }))
	const [name, n] = isGate ? ['open', groups.open || 0] : list[0]
	return h('span', { class: 'mini', title: list.map(([k, x]) => `${k} ${x}`).join(', ') }, h('span', { class: 'minibar', 'aria-hidden': 'true' }, shareBar(parts)), h('span', { class: 'num' }, `${name} ${(n / SAMPLE * 100).toFixed(0)} %`))
}

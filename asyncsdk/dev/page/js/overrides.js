// Overrides: what is in force, and one sentence to set another.
import { api } from './api.js'
import { gateValue } from './parts.js'
import { attempt, copyable, gone, h, labelled, refill, scroller, select, since, toast } from './ui.js'

export function overrides(root, { params }) {
	const form = { name: params.get('name') || '', user: params.get('user') || '', value: 'true', json: '{}' }
	const list = h('div'), set = h('form', { class: 'sentence', onsubmit: add })
	root.append(h('section', { class: 'view page', 'aria-label': 'Overrides' }, h('div', { class: 'page-in' }, h('h1', {}, 'Overrides'),
		h('p', { class: 'lead' }, 'A value that is returned instead of what the rules say, for one user or for all. The server serves it to every connected client; nothing is written to your ruleset.'), set, list)))

	async function add(e) {
		e.preventDefault()
		const { kind } = entry(), choice = choices.find((c) => c.id === form.value)
		let value = choice?.value
		if (kind !== 'gate' && form.value === 'json') {
			try { value = JSON.parse(form.json) } catch { toast('The value has to be a JSON object'); return }
		}
		await attempt(() => api.override({ kind, name: form.name, value, user: form.user || null }), 'Set; connected clients have it within a second')
	}
	const known = () => api.names().names
	const entry = () => known().find((n) => n.name === form.name) || { kind: 'gate' }
	let choices = []
	/** The values that one can choose: open and closed, or those of the rules, or JSON. */
	async function loadChoices() {
		const { kind, name } = entry()
		if (kind === 'gate') return [{ id: 'true', label: 'open', value: true }, { id: 'false', label: 'closed', value: false }]
		const rule = await api.rule(name).catch(() => null), seen = new Set()
		const values = (rule?.spec.rules || []).filter((r) => r.returnValue && typeof r.returnValue === 'object').map((r) => ({ id: r.groupName || r.name || r.id, label: r.groupName || r.name || r.id, value: r.returnValue }))
		const own = values.filter((c) => !seen.has(c.id) && seen.add(c.id))
		return [...own, { id: 'json', label: 'this JSON…' }]
	}
	async function drawForm() {
		if (!known().length) { set.hidden = true; return }
		set.hidden = false
		if (!known().some((n) => n.name === form.name)) form.name = known()[0].name
		choices = await loadChoices()
		if (!choices.some((c) => c.id === form.value)) form.value = choices[0].id
		const kinds = known().map((n) => [n.name, n.name])
		refill(set, labelled('Name', select(kinds, form.name, (v) => { form.name = v; drawForm() }, { id: 'o-name' })), h('span', {}, 'is'),
			labelled('Value', select(choices.map((c) => [c.id, c.label]), form.value, (v) => { form.value = v; drawForm() }, { id: 'o-value' })),
			form.value === 'json' && labelled('Value as JSON', h('input', { type: 'text', class: 'mono', id: 'o-json', value: form.json, spellcheck: false, oninput: (e) => { form.json = e.target.value } })),
			h('span', {}, 'for'), labelled('User', h('input', { type: 'text', id: 'o-user', list: 'o-users', value: form.user, placeholder: 'all users', spellcheck: false, oninput: (e) => { form.user = e.target.value } })),
			h('datalist', { id: 'o-users' }, Object.keys(api.users()).map((u) => h('option', { value: u }))),
			h('button', { type: 'submit', class: 'primary' }, 'Override'))
	}
	function draw() {
		const all = api.overrides()
		refill(list, all.length ? [h('div', { class: 'tablehead' }, h('h2', {}, `${all.length} in force`), h('button', { id: 'o-all', onclick: () => attempt(api.removeOverrides, 'All overrides are removed') }, 'Remove all')), table(all)]
			: h('div', { class: 'teach' }, h('h2', {}, 'Nothing is overridden'), h('p', {}, 'Every answer comes from the rules. Set one above, or:')), elsewhere())
	}
	function table(all) {
		const row = (o) => h('tr', {}, h('th', { scope: 'row' }, o.name, h('small', {}, o.kind)),
			h('td', { 'data-label': 'Answers' }, typeof o.value === 'boolean' ? gateValue(o.value) : h('code', {}, JSON.stringify(o.value))), h('td', { 'data-label': 'For' }, o.user || 'all users'),
			h('td', { class: 'dim', 'data-label': 'Set' }, `${since(o.since)}, ${o.by === 'page' ? 'here' : `by ${o.by}`}`),
			h('td', { class: 'end' }, h('button', { class: 'small', 'aria-label': `Remove the override of ${o.name}${o.user ? ` for ${o.user}` : ''}`, onclick: () => attempt(() => api.removeOverride(o)) }, 'Remove')))
		return scroller('Overrides in force', h('table', { class: 'plain cards' }, h('thead', {}, h('tr', {}, ['Name', 'Answers', 'For', 'Set', ''].map((t) => h('th', { scope: 'col' }, t || gone('Remove'))))), h('tbody', {}, all.map(row))))
	}
	const elsewhere = () => h('div', { class: 'teach more' },
		h('h3', {}, 'From the command line, when the server starts'), copyable(`asyncsdk dev --override '{"sale": true}'`),
		h('h3', {}, 'From a test'), copyable(`curl -X PUT ${api.url}/__dev/overrides -H 'Content-Type: application/json' -d '{"name": "sale", "value": true, "user": "ada"}'`),
		h('h3', {}, 'In your code, without a server'), copyable('client.override_gate("sale", True, user_id="ada")'))
	drawForm()
	draw()
	return { changed(what) { draw(); if ((what === 'names' || what === 'users') && !set.contains(document.activeElement)) drawForm() }, json: () => '/overrides.json' }
}

// Try it: a form for each verb and lookup, and the Python that does the same.
import { api } from './api.js'
import { JsonError, lineOf, parseAt } from './json.js'
import { tree, value } from './parts.js'
import { snippet } from './python.js'
import { VENDORS, attempt, copyable, dim, fill, h, mark, select, sign } from './ui.js'

/** Verb: what it says, the name to start with, the label of the name, the properties to start with and their label. */
const EVENTS = {
	track: ['An event happened', 'Order Completed', 'Event', { sku: 'teapot', revenue: 19.95, currency: 'EUR' }, 'Properties'],
	identify: ['Who a user is', '', '', { name: 'Ada', plan: 'pro' }, 'Traits'],
	page: ['A page was seen', 'Home', 'Page', { products: 4 }, 'Properties'],
	screen: ['A screen was seen', 'Basket', 'Screen', {}, 'Properties'],
	group: ['A user belongs to a company', 'acme', 'Company', { plan: 'pro' }, 'Traits'],
	alias: ['Two ids are one person', 'visitor-1', 'Earlier id', null, ''],
	log_event: ['An event in Statsig’s form', 'add_to_cart', 'Event', { sku: 'teapot' }, 'Metadata'],
}
const LOOKUPS = { check_gate: ['Is it open?', 'gate', 'Gate'], get_config: ['What is its value?', 'config', 'Dynamic config'], get_experiment: ['Which group?', 'experiment', 'Experiment'], get_layer: ['Which parameters?', 'layer', 'Layer'] }
const print = (x) => (x ? JSON.stringify(x, null, 2) : '')

export function tryIt(root, { params, setParams, href }) {
	const f = { verb: '', user: params.get('user') || Object.keys(api.users())[0] || 'ada', name: '', value: '', text: '', to: Object.keys(VENDORS) }
	let problem = '', properties = {}, turn = 0
	const verbs = h('div', { class: 'verbs', role: 'radiogroup', 'aria-label': 'What to do' }), form = h('form', { class: 'tryform', onsubmit: go }), code = h('div'), result = h('div', { role: 'status' })
	root.append(h('section', { class: 'view page', 'aria-label': 'Try it' }, h('div', { class: 'page-in wide' }, h('h1', {}, 'Try it'), h('div', { class: 'try' }, verbs, form, h('div', { class: 'trycode' }, code, h('h2', {}, 'Result'), result)))))

	const isLookup = () => f.verb in LOOKUPS
	const candidates = () => api.names().names.filter((n) => n.kind === LOOKUPS[f.verb][1]).map((n) => n.name)
	const userOf = () => api.users()[f.user] || { user_id: f.user }
	function pick(verb) {
		f.verb = verb
		f.value = ''
		f.name = isLookup() ? candidates()[0] || '' : EVENTS[verb][1]
		f.text = isLookup() ? '' : print(EVENTS[verb][3])
		turn++
		setParams({ verb: verb === 'track' ? '' : verb })
		draw()
	}
	function draw() {
		const verb = (v, what) => h('label', { class: v === f.verb ? 'on' : '' },
			h('input', { type: 'radio', name: 'verb', value: v, checked: v === f.verb, onchange: () => { pick(v); verbs.querySelector('input:checked').focus() } }), h('b', {}, v), h('small', {}, what))
		fill(verbs, Object.entries(EVENTS).map(([v, [what]]) => verb(v, what)), h('hr'), Object.entries(LOOKUPS).map(([v, [what]]) => verb(v, what)))
		fill(result, dim(isLookup() ? 'Ask, and the answer is shown here.' : 'Send it, and what each vendor made of it is shown here.'))
		const field = (label, control) => h('label', { class: 'field' }, h('span', {}, label), control)
		const user = field('User', h('input', { type: 'text', list: 'try-users', value: f.user, spellcheck: false, oninput: (e) => { f.user = e.target.value; drawCode() } }))
		fill(form, user, h('datalist', { id: 'try-users' }, Object.keys(api.users()).map((u) => h('option', { value: u }))), isLookup() ? lookupFields(field) : eventFields(field),
			h('div', { class: 'acts' }, h('button', { type: 'submit', class: 'primary' }, isLookup() ? 'Ask' : 'Send')))
		check()
	}
	function lookupFields(field) {
		const names = candidates()
		if (!names.length) return h('p', { class: 'dim' }, 'The rules have no such name yet: look at ', h('a', { href: '/rules' }, 'Rules'), '.')
		return field(LOOKUPS[f.verb][2], select(names, f.name, (v) => { f.name = v; drawCode() }))
	}
	function eventFields(field) {
		const [, , label, initial, more] = EVENTS[f.verb]
		const area = h('textarea', { rows: 7, class: 'code', id: 'try-json', spellcheck: false, value: f.text, 'aria-describedby': 'try-error', oninput: (e) => { f.text = e.target.value; check() } })
		return [
			label && field(label, h('input', { type: 'text', id: 'try-name', value: f.name, oninput: (e) => { f.name = e.target.value; drawCode() } })),
			f.verb === 'log_event' && field('Value (optional)', h('input', { type: 'text', value: f.value, oninput: (e) => { f.value = e.target.value; drawCode() } })),
			initial && field(more, area), h('p', { class: 'q-error', id: 'try-error', role: 'alert', hidden: true }),
			h('fieldset', { class: 'dests' }, h('legend', {}, 'To'), Object.entries(VENDORS).map(([v, { name }]) => h('label', {}, h('input', { type: 'checkbox', checked: f.to.includes(v), onchange: (e) => { f.to = Object.keys(VENDORS).filter((x) => (x === v ? e.target.checked : f.to.includes(x))); drawCode() } }), mark(v, { label: false }), name))),
		]
	}
	function check() {
		problem = ''
		properties = {}
		try {
			if (f.text.trim()) properties = parseAt(f.text).value
			if (properties === null || typeof properties !== 'object' || Array.isArray(properties)) problem = 'An object is expected: {"name": value}'
		} catch (e) {
			if (!(e instanceof JsonError)) throw e
			const at = lineOf(f.text, e.at)
			problem = `Line ${at.line}, column ${at.column}. ${e.message}`
		}
		const error = document.getElementById('try-error'), area = document.getElementById('try-json')
		if (error) { error.hidden = !problem; error.textContent = problem }
		area?.setAttribute('aria-invalid', String(!!problem))
		if (!problem) drawCode()
	}
	const request = () => ({ ...f, user: userOf(), value: f.value !== '' && !Number.isNaN(+f.value) ? +f.value : f.value, properties })
	function drawCode() { fill(code, h('h2', {}, 'The same in your code'), copyable(snippet(request()))) }
	async function go(e) {
		e.preventDefault()
		if (problem) { document.getElementById('try-json').focus(); return }
		const mine = ++turn
		if (isLookup()) {
			const answer = await attempt(() => api.evaluate([userOf()], [f.name]))
			if (answer && mine === turn) fill(result, lookupResult(f.name, answer[0][f.name]))
			return
		}
		fill(result, dim('Sending…'))
		const { verb, user, name, value: v, properties: p, to } = request()
		const sent = await attempt(() => api.send({ verb, user, name, value: v === '' ? null : v, properties: p, to }))
		if (mine === turn) fill(result, sent ? outcome(sent) : h('p', { class: 't-bad' }, 'It was not sent.'))
	}
	function lookupResult(name, r) {
		return [h('p', {}, h('code', {}, name), ' is ', value(r), dim(` for ${f.user}, rule ${r.rule || 'none'}. `), h('a', { href: href('who', { user: f.user, open: name }) }, 'All names for this user')), tree(r.tree)]
	}
	function outcome({ id, vendors, explain }) {
		const lines = Object.entries(vendors || {}).map(([v, o]) => h('li', {}, sign(o.status), mark(v, { label: false }), ' ', h('b', {}, VENDORS[v]?.name || v), ` ${o.status}`, o.reason ? dim(`: ${o.reason}`) : o.code ? dim(` (${o.code})`) : ''))
		return [h('ul', { class: 'plainlist' }, lines), explain && h('pre', { class: 'code', tabIndex: 0 }, explain), h('p', { class: 'acts' }, h('a', { class: 'button', href: href('live', { q: `id:${id}` }) }, 'See it in Live'))]
	}
	const wanted = params.get('verb')
	pick(wanted in EVENTS || wanted in LOOKUPS ? wanted : 'track')
	return { json: () => '/try.json' }
}

// The shell: addresses, keys, theme, connection.
//
// A view is a function `(root, context)` that returns what it wants of `{ keys, changed(what), json(), leave() }`. Its
// context: `params` of the address, `setParams(values)` to change them in place, `href(view, values)` for a link.
import { api, connect } from './api.js'
import { clients } from './clients.js'
import { faults } from './faults.js'
import { live } from './live.js'
import { serverMenu } from './menu.js'
import { overrides } from './overrides.js'
import { rules } from './rules.js'
import { tryIt } from './try.js'
import { $, clock, fill, h, key } from './ui.js'
import { who } from './who.js'

const TABS = [['live', 'Live', live], ['who', 'Who sees what', who], ['rules', 'Rules', rules], ['overrides', 'Overrides', overrides], ['faults', 'Faults', faults], ['clients', 'Clients', clients], ['try', 'Try it', tryIt]]
const THEMES = { auto: '◐', light: '○', dark: '●' }
let current = null

// --- addresses ------------------------------------------------------------------------------------------------------
const viewName = () => {
	const name = location.pathname.split('/')[1]
	return TABS.some(([t]) => t === name) ? name : 'live'
}
function href(view, values = {}) {
	const text = new URLSearchParams(Object.entries(values).filter(([, v]) => v)).toString().replaceAll('%3A', ':').replaceAll('%2C', ',')
	return `/${view}${text ? `?${text}` : ''}`
}
function setParams(values) {
	const all = { ...Object.fromEntries(new URLSearchParams(location.search)), ...values }
	history.replaceState(null, '', href(viewName(), all))
	drawJsonLink()
}
function go(address) {
	history.pushState(null, '', address)
	show()
}
function show() {
	const name = viewName(), [, title, view] = TABS.find(([t]) => t === name), main = $('#main'), isMove = main.childNodes.length > 0
	current?.leave?.()
	fill(main)
	document.title = `${title} · asyncsdk dev`
	current = null
	current = view(main, { params: new URLSearchParams(location.search), setParams, href }) || {}
	drawTabs()
	drawJsonLink()
	if (isMove) main.focus({ preventScroll: true })
}
function drawJsonLink() { $('#json').href = current?.json?.() || `/${viewName()}.json` }
function drawTabs() {
	const active = viewName(), badges = { overrides: api.overrides().length, faults: api.faults().filter((f) => f.left !== 0).length }
	const focused = document.activeElement?.closest?.('#tabs a')?.getAttribute('href')
	fill($('#tabs'), TABS.map(([name, title], i) => h('a', { href: `/${name}`, 'aria-current': name === active ? 'page' : null, title: `${title} (${i + 1})` }, title,
		badges[name] ? h('b', { class: 'badge' }, badges[name], h('span', { class: 'sr' }, ' active')) : null)))
	if (focused) $(`#tabs a[href="${focused}"]`)?.focus({ preventScroll: true })
	$('#tabs [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
}
addEventListener('popstate', show)
document.addEventListener('click', (e) => {
	const link = e.target.closest?.('a[href^="/"]')
	if (!link || link.hasAttribute('download') || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return
	if (!TABS.some(([t]) => link.pathname === `/${t}`)) return
	e.preventDefault()
	if (link.href !== location.href) go(link.getAttribute('href'))
})

// --- connection -----------------------------------------------------------------------------------------------------
const menu = serverMenu($('#server'))
let countdown
function drawConnection(state) {
	const { up, since, retryAt, restarted } = state, banner = $('#banner')
	document.body.classList.toggle('offline', !up)
	menu.draw(up)
	clearInterval(countdown)
	banner.hidden = up && !restarted
	if (!up) {
		const left = h('span'), tick = () => { left.textContent = `Next try in ${Math.max(0, Math.ceil((retryAt - Date.now()) / 1000))} s.` }
		tick()
		countdown = setInterval(tick, 500)
		fill(banner, h('b', {}, `No connection to ${api.url} since ${clock(since, false)}.`), ' What is shown is from before; nothing can be changed. ', h('span', { 'aria-hidden': 'true' }, left), ' Has ', h('code', {}, 'asyncsdk dev'), ' ended?', h('button', { class: 'small', id: 'retry', onclick: connect }, 'Try now'))
	} else if (restarted) {
		fill(banner, h('b', {}, 'The server was restarted.'), ' It keeps its events in memory, so those from before are gone there; here they are still shown. ', h('button', { class: 'small', onclick: () => { api.forget(); banner.hidden = true } }, 'Forget them here'))
	}
}
api.subscribe({
	connection: drawConnection,
	changed(what) {
		drawTabs()
		current?.changed?.(what)
	},
})

// --- theme ----------------------------------------------------------------------------------------------------------
function drawTheme() {
	const { theme } = document.documentElement.dataset
	fill($('#theme'), THEMES[theme])
	$('#theme').setAttribute('aria-label', `Theme: ${theme}. Press to change.`)
	$('#theme').title = `Theme: ${theme} (t)`
}
function nextTheme() {
	const all = Object.keys(THEMES), next = all[(all.indexOf(document.documentElement.dataset.theme) + 1) % all.length]
	document.documentElement.dataset.theme = next
	try { localStorage.setItem('theme', next) } catch { /* Storage is blocked: the choice lasts as long as the page. */ }
	drawTheme()
}
$('#theme').addEventListener('click', nextTheme)
drawTheme()

// --- keys -----------------------------------------------------------------------------------------------------------
const HELP = [
	['Anywhere', [['1 … 7', 'go to a view'], ['?', 'this list'], ['t', 'theme']]],
	['Live', [['j k', 'older, newer'], ['Enter', 'open the story'], ['Esc', 'close, release'], ['/', 'search'], ['p', 'pause, resume'], ['f', 'first failure'], ['n N', 'next, previous failure or hit'], ['g', 'rows: events or arrivals'], ['Home', 'newest, and follow']]],
	['Who sees what, Rules', [['j k', 'move'], ['Enter', 'why; edit'], ['/', 'find a name'], ['c', 'compare two users'], ['d', 'only what differs']]],
]
function help() {
	const keys = ([k, what]) => [h('dt', {}, k.split(' ').map((x) => (x === '…' ? ' … ' : key(x)))), h('dd', {}, what)]
	const address = $('#json').getAttribute('href')
	const box = h('dialog', { class: 'help', 'aria-labelledby': 'help-title', onclose: () => box.remove(), onclick: (e) => { if (e.target === box) box.close() } },
		h('h2', { id: 'help-title' }, 'Keys'), h('div', { class: 'help-cols' }, HELP.map(([title, list]) => h('section', {}, h('h3', {}, title), h('dl', {}, list.map(keys))))),
		h('p', { class: 'dim' }, 'Every view has its data as JSON: add ', h('code', {}, '.json'), ' to its path. This one: ', h('a', { href: address, target: '_blank' }, address)),
		h('form', { method: 'dialog' }, h('button', { type: 'submit', autofocus: true }, 'Close')))
	document.body.append(box)
	box.showModal()
}
$('#help').addEventListener('click', help)
const isTyping = (el) => el.matches?.('input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select')
document.addEventListener('keydown', (e) => {
	const at = e.target
	if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return
	if (isTyping(at)) { if (e.key === 'Escape') at.blur(); return }
	const isPress = (e.key === 'Enter' || e.key === ' ') && at.matches?.('button, a, summary, [role=tab]')
	if (isPress || (e.key.startsWith('Arrow') && at.matches?.('input'))) return
	const action = current?.keys?.[e.key]
	if (action) { e.preventDefault(); action() }
	else if (e.key === '?') { e.preventDefault(); help() }
	else if (e.key === 't') nextTheme()
	else if (/^[1-7]$/.test(e.key)) go(`/${TABS[e.key - 1][0]}`)
})

await connect()
show()

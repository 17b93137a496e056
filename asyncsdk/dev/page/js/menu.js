// The menu at the server's address: what runs here, snapshot, export, delete.
import { api } from './api.js'
import { attempt, copyButton, duration, fill, h, toast } from './ui.js'

export function serverMenu(root) {
	const dot = h('i', { 'aria-hidden': 'true' }), words = h('span'), items = h('div', { class: 'menu-items wide' })
	const box = h('details', { class: 'menu server', ontoggle: () => box.open && drawItems(), onkeydown: (e) => { if (e.key === 'Escape' && box.open) { e.stopPropagation(); close() } } }, h('summary', { class: 'conn' }, dot, words), items)
	const file = h('input', { type: 'file', accept: '.json,application/json', hidden: true, 'aria-label': 'Snapshot to load', onchange: load })
	root.append(box, file)
	addEventListener('click', (e) => { if (box.open && !box.contains(e.target)) box.open = false })
	function close() {
		box.open = false
		box.firstChild.focus()
	}
	async function drawItems() {
		await api.refresh('health')
		const health = api.health()
		const facts = [['Address', api.url], ['Version', health.version], ['Up for', health.uptime && duration(health.uptime * 1000)], ['Rules', health.ruleset || 'in memory'], ['Kept', health.kept]]
		fill(items,
			h('dl', { class: 'facts' }, facts.filter(([, v]) => v).map(([k, v]) => [h('dt', {}, k), h('dd', {}, v)])),
			h('p', { class: 'acts' }, copyButton(`export ASYNCSDK_DEV_SERVER=${api.url}`, 'Copy the line for your shell')),
			h('hr'),
			h('a', { class: 'button', href: api.snapshotUrl, download: 'asyncsdk-dev.json' }, 'Save a snapshot'),
			h('button', { onclick: () => file.click() }, 'Load a snapshot…'),
			h('a', { class: 'button', href: api.exportUrl, download: 'events.ndjson' }, 'Export events (NDJSON)'),
			h('button', { onclick: () => { close(); attempt(api.deleteEvents, 'All events are deleted') } }, 'Delete all events'),
			h('button', { onclick: () => { close(); attempt(api.reset, 'Events and faults are deleted; the rules stay') } }, 'Delete events and faults'))
	}
	async function load() {
		const [chosen] = file.files
		file.value = ''
		if (!chosen) return
		close()
		let snapshot
		try { snapshot = JSON.parse(await chosen.text()) } catch { toast(`${chosen.name} is not JSON`); return }
		await attempt(() => api.loadSnapshot(snapshot), `${chosen.name} is loaded`)
	}
	return {
		draw(up) {
			dot.className = up ? 'dot up' : 'dot down'
			fill(words, up ? api.url.replace(/^https?:\/\//, '') : 'not connected')
			box.firstChild.setAttribute('aria-label', `Server ${up ? api.url : 'not connected'}: snapshot, export, delete`)
		},
	}
}

// "Re-send to": one stored event, to another vendor.
import { api } from './api.js'
import { VENDORS, attempt, h } from './ui.js'

export function resend(row) {
	const box = h('details', { class: 'menu', onkeydown: (e) => { if (e.key === 'Escape' && box.open) { e.stopPropagation(); box.open = false; box.firstChild.focus() } } },
		h('summary', { class: 'button small' }, 'Re-send to'),
		h('div', { class: 'menu-items' }, Object.entries(VENDORS).map(([vendor, { name }]) => h('button', { onclick: () => {
			box.open = false
			const like = row.arrivals.find((a) => a.vendor === vendor) || row.arrivals.at(-1)
			attempt(() => api.resend(like, vendor), `Sent to ${name} again`)
		} }, name))))
	return box
}

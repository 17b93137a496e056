// The words for what the vendors made of an event.
import { VENDORS } from './ui.js'

export const because = (reason) => (reason || '')
	.replace('came with an event that was', 'batch refused for another event')
	.replace('Invalid field values on some events: ', 'invalid field: ')

/** Return tone, sign and words for a row; the vendor is named if there may be several. */
export function verdictOf(row, namesVendor) {
	const states = Object.entries(row.by)
	const bad = states.find(([, s]) => s.verdict === 'rejected') || states.find(([, s]) => s.verdict === 'lost')
	if (bad) {
		const [vendor, s] = bad
		const words = (states.length > 1 || namesVendor ? `${VENDORS[vendor]?.name || vendor}: ` : '') + because(s.reason)
		return s.verdict === 'rejected' ? ['bad', '✕', words] : ['warn', '↻', `${words}, not stored`]
	}
	if (states.every(([, s]) => s.verdict === 'duplicate')) return ['quiet', '=', 'copy, ignored']
	if (row.attempt > 1) return ['warnish', '✓', `accepted, try ${row.attempt}`]
	return ['quiet', '✓', 'accepted']
}

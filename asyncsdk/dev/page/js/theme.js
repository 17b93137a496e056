// Not a module: it runs before the first paint, so that a chosen theme does not flash.
try {
	document.documentElement.dataset.theme = localStorage.getItem('theme') || 'auto'
} catch {
	// Storage is blocked: the system's theme stays.
}

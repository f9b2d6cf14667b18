// A platform without an executable.
Object.defineProperty(process, 'platform', { value: 'sunos' });
Object.defineProperty(process, 'arch', { value: 'x64' });

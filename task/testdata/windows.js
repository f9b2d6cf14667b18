// Windows as far as the shim can see it. Its handler runs before this one, so a confirmed signal has been through both.
Object.defineProperty(process, 'platform', { value: 'win32' });
setImmediate(() => process.on('SIGINT', () => process.stdout.write('shim heard SIGINT\n')));

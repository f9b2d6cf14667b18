// A process that has as many files open as it may have: Node's spawn makes no pipes then, and says why later.
const { ChildProcess } = require('child_process');
ChildProcess.prototype.spawn = function (options) {
  process.nextTick(() => this.emit('error', Object.assign(new Error(`spawn ${options.file} EMFILE`), { code: 'EMFILE' })));
};

// A full disk: half of the executable finds room.
const fs = require('fs');
const write = fs.writeFileSync;
fs.writeFileSync = (fd, content, ...rest) => {
  write(fd, content.slice(0, content.length / 2), ...rest);
  throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
};

// A task that does what its input says.
new Function('require', process.env.INPUT_SCRIPT)(require);

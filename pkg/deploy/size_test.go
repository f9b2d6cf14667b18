package deploy

import "testing"

// TestWrongSize: what the table rules out is refused, and nothing that it might
// not know.
func TestWrongSize(t *testing.T) {
	const fargate, ec2 = true, false
	tests := []struct {
		where       bool
		cpu, memory float64
		want        string
	}{
		{fargate, 256, 512, ""},
		{fargate, 256, 2048, ""},
		{fargate, 256, 1536, "Fargate has no task of 256 CPU units with 1536 MiB; expected 512, 1024 or 2048 MiB"},
		{fargate, 512, 512, "Fargate has no task of 512 CPU units with 512 MiB; expected 1024 to 4096 MiB in steps of 1024"},
		{fargate, 4096, 30_720, ""},
		{fargate, 4096, 31_744, "Fargate has no task of 4096 CPU units with 31744 MiB; expected 8192 to 30720 MiB in steps of 1024"},
		{fargate, 8192, 17_408, "Fargate has no task of 8192 CPU units with 17408 MiB; expected 16384 to 61440 MiB in steps of 4096"},
		{fargate, 16_384, 122_880, ""},
		{fargate, 1024, 0, "Fargate needs cpu and memory of the task"},
		{fargate, 300, 512, "Fargate has no task of 300 CPU units; expected 256, 512, 1024, 2048, 4096, 8192 or 16384"},
		{fargate, 307.2, 512, "Fargate has no task of 307.2 CPU units; expected 256, 512, 1024, 2048, 4096, 8192 or 16384"},
		{fargate, 0, 512, "Fargate needs cpu and memory of the task"},
		{fargate, 32_768, 512, ""}, // a size that Fargate may have some day
		{ec2, 300, 1000, ""},
		{ec2, 128, 0, ""},
		{ec2, 0, 512, ""}, // none
		{ec2, 1, 512, "a task has 128 CPU units at least, not 1"},
	}
	for _, tt := range tests {
		if got := wrongSize(tt.where, tt.cpu, tt.memory); got != tt.want {
			t.Errorf("wrongSize(%v, %g, %g) = %q, want %q", tt.where, tt.cpu, tt.memory, got, tt.want)
		}
	}
}

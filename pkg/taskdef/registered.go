package taskdef

// Who registered a revision, as ECS keeps it with the revision.

// RegisteredBy is the ARN of the identity that registered the revision; "" where ECS
// does not say.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html
func (d Definition) RegisteredBy() string { return d.doc.get("registeredBy").str() }

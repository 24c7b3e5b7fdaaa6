"""What a network costs and sees, read from any `keras.Model`."""

from kerascnn.analysis.cost import Cost as Cost
from kerascnn.analysis.cost import LayerCost as LayerCost
from kerascnn.analysis.cost import count as count
from kerascnn.analysis.cost import table as table
from kerascnn.analysis.diagram import plot_stages as plot_stages
from kerascnn.analysis.formulas import FORMULAS as FORMULAS
from kerascnn.analysis.sampling import plot_sampling as plot_sampling
from kerascnn.analysis.sampling import sampling_locations as sampling_locations
from kerascnn.analysis.staging import Stage as Stage
from kerascnn.analysis.staging import stages as stages
from kerascnn.surgery.fields import ReceptiveField as ReceptiveField
from kerascnn.surgery.fields import receptive_field as receptive_field

//! Who may have a session: version, device token, model, cut and widths.
//!
//! Before hop 7. Pure: the driver says hello, this says yes or why not, in words that say what to do.

use caracal_shared::session::LiveTemplate;
use caracal_shared::session::cluster::Settings;
use caracal_shared::wire::{AudioCut, Hello, Reason, Refusal, VERSION};
use subtle::ConstantTimeEq;

/// What this cluster serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// Device tokens; a device needs one of them.
    pub tokens: Vec<String>,
    /// Identity of the model's files.
    pub model: String,
    /// Width of an embedding after the projector, and of a picture's.
    pub width: u32,
    /// Width of an audio embedding before the post-FFN; `None` when that cut is not served.
    pub hidden_width: Option<u32>,
    /// Strings of a turn.
    pub template: LiveTemplate,
    /// Sizes of the codec's codebooks.
    pub code_sizes: [u32; 4],
    /// Positions of the model's context.
    pub context: u32,
    /// Steps that a reply may take.
    pub reply_steps: u32,
}

impl Admission {
    /// The settings of a session for this edge.
    ///
    /// # Errors
    /// [`Refusal`] with the reason; the token is compared in constant time, and nothing else is judged without it.
    pub fn admit(&self, hello: &Hello) -> Result<Settings, Refusal> {
        if hello.version != VERSION {
            let text =
                format!("this cluster speaks version {VERSION}, the edge version {}. Install the same release on both.", hello.version);
            return Err(Refusal::new(Reason::Version, text));
        }
        let known = self.tokens.iter().fold(subtle::Choice::from(0), |known, token| known | token.as_bytes().ct_eq(hello.token.as_bytes()));
        if !bool::from(known) {
            return Err(Refusal::new(
                Reason::Token,
                "the device token is not known here. Copy one from the cluster's token file into the edge's configuration.",
            ));
        }
        let model = &hello.model;
        if model.identity != self.model {
            let text =
                format!("this cluster serves model {}, the edge runs {}. Give both the same model folder.", self.model, model.identity);
            return Err(Refusal::new(Reason::Model, text));
        }
        let expected = match model.audio_cut {
            AudioCut::Projected => Some(self.width),
            AudioCut::Hidden => self.hidden_width,
        };
        let settings = |text: String| Err(Refusal::new(Reason::Settings, text));
        match expected {
            None => return settings("this cluster does not serve the cut `hidden`. Set the edge's audio_cut to `projected`.".into()),
            Some(width) if width != model.audio_width => {
                return settings(format!(
                    "embeddings of sound are {} wide, expected {width}. Give both the same model folder.",
                    model.audio_width
                ));
            }
            Some(_) => {}
        }
        if model.vision_width != 0 && model.vision_width != self.width {
            return settings(format!("embeddings of pictures are {} wide, expected {}.", model.vision_width, self.width));
        }
        Ok(Settings {
            template: self.template.clone(),
            model: model.clone(),
            code_sizes: self.code_sizes,
            context: self.context,
            reply_steps: self.reply_steps,
        })
    }
}
